use serde::{Deserialize, Serialize};

/// The three names of a mesh that its own configuration decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Mesh {
    /// DNS domain of the cluster, without dots at its ends.
    pub cluster_domain: String,
    /// Trust domain of the workloads' SPIFFE identities.
    pub trust_domain: String,
    /// Istio's root namespace, whose policies hold for the whole mesh.
    pub root_namespace: String,
}

impl Default for Mesh {
    fn default() -> Self {
        Self {
            cluster_domain: "cluster.local".to_owned(),
            trust_domain: "cluster.local".to_owned(),
            root_namespace: "istio-system".to_owned(),
        }
    }
}
