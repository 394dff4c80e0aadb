//! Indexes Sidecars that people wrote. Lazymesh never touches one, and leaves to it what it selects.

use std::collections::BTreeMap;

use serde_json::Value;

use super::namespaced::Namespaced;
use crate::resource::{Kind, Metadata, ObjectKey, Sidecar};

/// Label, and its value, of everything that lazymesh owns.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "lazymesh");

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
        let ruling = selecting.or_else(|| {
            self.oldest(namespace, |sidecar| {
                sidecar.spec.workload_selector.is_none()
            })
        });
        ruling.map(key)
    }

    /// The user's Sidecar that rules a whole namespace, or that has the name that ours would have. A selector
    /// without labels selects every pod, and wins over ours.
    pub(crate) fn of_namespace(&self, namespace: &str, our_name: &str) -> Option<ObjectKey> {
        let ruling = self.oldest(namespace, |sidecar| {
            let selector = sidecar.spec.workload_selector.as_ref();
            sidecar.metadata.name == our_name
                || selector.is_none_or(|selector| selector.labels.is_empty())
        });
        ruling.map(key)
    }

    /// The user's Sidecar that rules where a namespace has none, from the root namespace. One that only says what is in
    /// scope does not count: for that a namespace is enforced.
    pub(crate) fn of_mesh(&self, root_namespace: &str) -> Option<ObjectKey> {
        let ruling = self.ruling_mesh(root_namespace)?;
        (!only_scopes(ruling)).then(|| key(ruling))
    }

    /// What is in scope where a namespace has no Sidecar, from the root namespace: entries of `egress.hosts`.
    pub(crate) fn scope_of_mesh(&self, root_namespace: &str) -> Option<impl Iterator<Item = &str>> {
        let ruling = self.ruling_mesh(root_namespace)?;
        let egress = Some(&ruling.spec.egress).filter(|egress| !egress.is_empty())?;
        let hosts = egress.iter().flat_map(|listener| &listener.hosts);
        Some(hosts.map(String::as_str))
    }

    fn ruling_mesh(&self, root_namespace: &str) -> Option<&Sidecar> {
        self.oldest(root_namespace, |sidecar| {
            sidecar.spec.workload_selector.is_none()
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
    fn oldest(&self, namespace: &str, applies: impl Fn(&Sidecar) -> bool) -> Option<&Sidecar> {
        let sidecars = self.sidecars.iter_in(namespace).map(|(_, sidecar)| sidecar);
        sidecars
            .filter(|sidecar| applies(sidecar))
            .min_by_key(|sidecar| (&sidecar.metadata.creation_timestamp, &sidecar.metadata.name))
    }
}

/// Whether a Sidecar says no more than what is in scope.
fn only_scopes(sidecar: &Sidecar) -> bool {
    let said = |other: &BTreeMap<String, Value>| other.values().any(|value| !value.is_null());
    let spec = &sidecar.spec;
    !said(&spec.other) && !spec.egress.iter().any(|listener| said(&listener.other))
}

fn key(sidecar: &Sidecar) -> ObjectKey {
    let metadata = &sidecar.metadata;
    ObjectKey::new(
        Kind::Sidecar,
        metadata.namespace.as_str(),
        metadata.name.as_str(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_says_more_than_what_is_in_scope_rules() {
        let check = |spec: Value, expect: bool| {
            let mut sidecars = UserSidecars::default();
            let object = json!({ "metadata": { "namespace": "root", "name": "a" }, "spec": spec });
            sidecars.insert(&serde_json::from_value(object).unwrap());
            assert_eq!(sidecars.of_mesh("root").is_some(), expect, "{spec}");
        };
        check(json!({ "egress": [{ "hosts": ["./*"] }] }), false);
        check(json!({ "egress": [{ "hosts": null }] }), false);
        check(json!({ "egress": null, "ingress": [] }), true);
        check(
            json!({ "egress": [{ "hosts": ["./*"], "captureMode": "NONE" }] }),
            true,
        );
        check(json!({ "ingress": [{ "port": { "number": 80 } }] }), true);
        check(json!({ "inboundConnectionPool": { "tcp": {} } }), true);
        check(
            json!({ "outboundTrafficPolicy": { "mode": "REGISTRY_ONLY" } }),
            true,
        );
        check(json!({ "outboundTrafficPolicy": null }), false);
        check(
            json!({ "workloadSelector": { "labels": {} }, "ingress": [] }),
            false,
        );
    }
}
