//! Sidecars that people wrote. Lazymesh never touches one, and leaves to it what it selects.

use std::collections::BTreeMap;

use super::namespaced::Namespaced;
use crate::object::{Kind, Metadata, ObjectKey, Sidecar};

/// Label, and its value, of everything that lazymesh owns.
pub(crate) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "lazymesh");

/// Whether an object has our label.
pub(super) fn is_ours(metadata: &Metadata) -> bool {
    let owner = metadata.labels.get(MANAGED_BY.0);
    owner.is_some_and(|owner| owner == MANAGED_BY.1)
}

/// Sidecars without our label, by namespace.
#[derive(Debug, Default)]
pub(crate) struct UserSidecars {
    sidecars: Namespaced<Sidecar>,
}

impl UserSidecars {
    pub(crate) fn insert(&mut self, sidecar: &Sidecar) {
        let metadata = &sidecar.metadata;
        if !is_ours(metadata) {
            self.sidecars
                .insert(&metadata.namespace, &metadata.name, sidecar.clone());
        }
    }

    pub(crate) fn remove(&mut self, namespace: &str, name: &str) {
        self.sidecars.remove(namespace, name);
    }

    pub(crate) fn is_empty_in(&self, namespace: &str) -> bool {
        self.sidecars.iter_in(namespace).next().is_none()
    }

    /// The user's Sidecar that rules pods with one of these label sets, or that has the name that ours would
    /// have. One without a selector rules them, too, where no other does: ours would win over it, and with it go
    /// whatever it says about ingress or outbound traffic.
    pub(crate) fn of_pods(
        &self,
        namespace: &str,
        our_name: &str,
        pods: &[&BTreeMap<String, String>],
    ) -> Option<ObjectKey> {
        let selecting = self.oldest(namespace, |sidecar| {
            let selector = sidecar.spec.workload_selector.as_ref();
            sidecar.metadata.name == our_name
                || selector
                    .is_some_and(|selector| pods.iter().any(|labels| selector.matches(labels)))
        });
        selecting.or_else(|| {
            self.oldest(namespace, |sidecar| {
                sidecar.spec.workload_selector.is_none()
            })
        })
    }

    /// The user's Sidecar that rules a whole namespace, or that has the name that ours would have. A selector
    /// without labels selects every pod, and wins over ours.
    pub(crate) fn of_namespace(&self, namespace: &str, our_name: &str) -> Option<ObjectKey> {
        self.oldest(namespace, |sidecar| {
            let selector = sidecar.spec.workload_selector.as_ref();
            sidecar.metadata.name == our_name
                || selector.is_none_or(|selector| selector.labels.is_empty())
        })
    }

    /// The user's Sidecar that rules where a namespace has none, from the root namespace. One that only says what is in
    /// scope does not count: for that a namespace is enforced.
    pub(crate) fn of_mesh(&self, root_namespace: &str) -> Option<ObjectKey> {
        self.oldest(root_namespace, |sidecar| {
            let spec = &sidecar.spec;
            spec.workload_selector.is_none()
                && (spec.ingress.is_some() || spec.outbound_traffic_policy.is_some())
        })
    }

    /// Whether a user's Sidecar selects a pod with these labels.
    pub(crate) fn selects(&self, namespace: &str, pod: &BTreeMap<String, String>) -> bool {
        let mut sidecars = self.sidecars.iter_in(namespace);
        sidecars.any(|(_, sidecar)| {
            let selector = sidecar.spec.workload_selector.as_ref();
            selector.is_some_and(|selector| selector.matches(pod))
        })
    }

    /// Istio takes the oldest of those that match, and merges none.
    fn oldest(&self, namespace: &str, applies: impl Fn(&Sidecar) -> bool) -> Option<ObjectKey> {
        let sidecars = self.sidecars.iter_in(namespace).map(|(_, sidecar)| sidecar);
        let oldest = sidecars
            .filter(|sidecar| applies(sidecar))
            .min_by_key(|sidecar| (&sidecar.metadata.creation_timestamp, &sidecar.metadata.name))?;
        Some(ObjectKey {
            kind: Kind::Sidecar,
            namespace: namespace.to_owned(),
            name: oldest.metadata.name.clone(),
        })
    }
}
