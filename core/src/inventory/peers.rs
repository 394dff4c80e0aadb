//! Indexes PeerAuthentications: which pods refuse mutual TLS.

use super::namespaced::Namespaced;
use super::pods::Pod;
use crate::resource::{MutualTls, PeerAuthentication};

const DISABLE: &str = "DISABLE";

/// PeerAuthentications by namespace.
#[derive(Debug, Default)]
pub(crate) struct PeerIndex {
    policies: Namespaced<PeerAuthentication>,
    /// How many of them disable anything. In most meshes none does, and no pod needs a look.
    disabling: usize,
}

impl PeerIndex {
    pub(crate) fn insert(&mut self, policy: &PeerAuthentication) {
        let metadata = &policy.metadata;
        self.disabling += usize::from(disables_any(policy));
        self.policies
            .insert(&metadata.namespace, &metadata.name, policy.clone());
    }

    pub(crate) fn remove(&mut self, namespace: &str, name: &str) {
        if let Some(policy) = self.policies.remove(namespace, name) {
            self.disabling -= usize::from(disables_any(&policy));
        }
    }

    /// Whether a pod's sidecar takes plain text only on a port, as Istio composes it: the pod's own policy, its
    /// port first, then the namespace's, then the mesh's. `UNSET` inherits; of several on a level, the oldest
    /// counts.
    pub(crate) fn disables(&self, pod: &Pod, port: Option<u16>, root: &str) -> bool {
        if self.disabling == 0 {
            return false;
        }
        let own = self.oldest(&[&pod.namespace, root], |policy| {
            selects(policy).is_some_and(|labels| labels.matches(&pod.labels))
        });
        let own_port = own.zip(port).and_then(|(policy, port)| {
            let mode = policy.spec.port_level_mtls.get(&port.to_string());
            mode.and_then(mode_of)
        });
        let whole = |policy: &PeerAuthentication| selects(policy).is_none();
        let mode = own_port
            .or_else(|| own.and_then(|policy| mode_of(&policy.spec.mtls)))
            .or_else(|| mode_of(&self.oldest(&[&pod.namespace], whole)?.spec.mtls))
            .or_else(|| mode_of(&self.oldest(&[root], whole)?.spec.mtls));
        mode == Some(DISABLE)
    }

    fn oldest(
        &self,
        namespaces: &[&str],
        applies: impl Fn(&PeerAuthentication) -> bool,
    ) -> Option<&PeerAuthentication> {
        let policies = namespaces
            .iter()
            .flat_map(|namespace| self.policies.iter_in(namespace));
        let applying = policies
            .map(|(_, policy)| policy)
            .filter(|policy| applies(policy));
        applying.min_by_key(|policy| {
            let metadata = &policy.metadata;
            (
                &metadata.creation_timestamp,
                &metadata.namespace,
                &metadata.name,
            )
        })
    }
}

/// An empty selector is none.
fn selects(policy: &PeerAuthentication) -> Option<&crate::resource::Selector> {
    policy
        .spec
        .selector
        .as_ref()
        .filter(|selector| !selector.labels.is_empty())
}

fn mode_of(tls: &MutualTls) -> Option<&str> {
    Some(tls.mode.as_str()).filter(|mode| !matches!(*mode, "" | "UNSET"))
}

fn disables_any(policy: &PeerAuthentication) -> bool {
    let mut modes = policy
        .spec
        .port_level_mtls
        .values()
        .chain([&policy.spec.mtls]);
    modes.any(|tls| tls.mode == DISABLE)
}
