use serde::{Deserialize, Serialize};

/// What of a mesh its own configuration decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Mesh {
    /// DNS domain of the cluster, without dots at its ends.
    pub cluster_domain: String,
    /// Trust domain of the workloads' SPIFFE identities.
    pub trust_domain: String,
    /// Istio's root namespace, whose policies hold for the whole mesh.
    pub root_namespace: String,
    /// Who may see what says nothing about it.
    pub default_export_to: DefaultExportTo,
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

impl Default for Mesh {
    fn default() -> Self {
        Self {
            cluster_domain: "cluster.local".to_owned(),
            trust_domain: "cluster.local".to_owned(),
            root_namespace: "istio-system".to_owned(),
            default_export_to: DefaultExportTo::default(),
        }
    }
}
