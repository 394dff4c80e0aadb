//! Holds what of a mesh its own configuration decides.

use serde::{Deserialize, Serialize};

use super::LabelSelector;

/// What of a mesh its own configuration decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Mesh {
    /// DNS domain of the cluster, without dots at its ends.
    pub cluster_domain: String,
    /// Trust domain of the workloads' SPIFFE identities.
    pub trust_domain: String,
    /// Other names of the trust domain, whose identities are as good as its own.
    pub trust_domain_aliases: Vec<String>,
    /// Istio's root namespace, whose policies hold for the whole mesh.
    pub root_namespace: String,
    /// Who may see what says nothing about it.
    pub default_export_to: DefaultExportTo,
    /// Whether what Istio knows no host for is closed (`outboundTrafficPolicy: REGISTRY_ONLY`).
    pub registry_only: bool,
    /// Which namespaces are in the mesh: those that any of these selects, or all if there are none.
    pub discovery_selectors: Vec<LabelSelector>,
}

/// Entries of `exportTo` for objects that have none; none for everyone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DefaultExportTo {
    /// Of Services and ServiceEntries.
    pub services: Vec<String>,
    /// Of VirtualServices.
    pub virtual_services: Vec<String>,
    /// Of DestinationRules.
    pub destination_rules: Vec<String>,
}

impl Mesh {
    /// Whether identities of a trust domain are identities of this mesh. Those of a federated one are not: their
    /// namespaces and service accounts only have the same names.
    #[must_use]
    pub fn trusts(&self, trust_domain: &str) -> bool {
        let aliases = self.trust_domain_aliases.iter();
        aliases
            .chain([&self.trust_domain])
            .any(|own| own == trust_domain)
    }
}

impl Default for Mesh {
    fn default() -> Self {
        Self {
            cluster_domain: "cluster.local".to_owned(),
            trust_domain: "cluster.local".to_owned(),
            trust_domain_aliases: Vec::new(),
            root_namespace: "istio-system".to_owned(),
            default_export_to: DefaultExportTo::default(),
            registry_only: false,
            discovery_selectors: Vec::new(),
        }
    }
}
