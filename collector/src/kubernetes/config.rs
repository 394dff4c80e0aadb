use clap::Args;

use crate::attach::AttachConfig;
use crate::inventory::kubernetes::source::SourceOptions;
use crate::kubernetes::connect::ConnectConfig;
use crate::publish::kubernetes::owner::Owner;
use crate::runtime::config::NAMESPACE;

/// The name of Istio's ConfigMap of a control plane without a revision.
const MESH_CONFIG: &str = "istio";

/// How a collector uses Kubernetes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Kubernetes")]
pub struct KubernetesConfig {
    /// Read the mesh from Kubernetes in place of --manifests, and publish Sidecars to it unless
    /// --publish-dir is given
    #[arg(long, env = "LAZYMESH_KUBERNETES", conflicts_with = "manifests")]
    pub kubernetes: bool,
    /// The API server.
    #[command(flatten)]
    pub connect: ConnectConfig,
    /// Namespace of lazymesh itself; its label lazymesh.io/mode: off switches all of lazymesh off
    #[arg(
        long,
        value_name = "NAMESPACE",
        default_value = NAMESPACE,
        env = "LAZYMESH_NAMESPACE"
    )]
    pub namespace: String,
    /// Namespace of istiod and its ConfigMap
    #[arg(
        long,
        value_name = "NAMESPACE",
        default_value = "istio-system",
        env = "LAZYMESH_ISTIO_NAMESPACE"
    )]
    pub istio_namespace: String,
    /// Revision of the control plane to work for; without it, all of them
    #[arg(long, value_name = "REVISION", env = "LAZYMESH_REVISION")]
    pub revision: Option<String>,
    /// Make namespaces lazy although no filter has called from them. Workloads whose sidecar lacks the filter, for
    /// whatever reason, then cannot call STRICT services that they have not learned
    #[arg(long, env = "LAZYMESH_ENFORCE_UNHEARD", requires = "kubernetes")]
    pub enforce_unheard: bool,
    /// The attachment.
    #[command(flatten)]
    pub attach: AttachConfig,
}

impl KubernetesConfig {
    pub(crate) fn owner(&self) -> Owner {
        Owner {
            revision: self
                .revision
                .clone()
                .filter(|revision| !revision.is_empty()),
        }
    }

    /// What the control plane's object of this name is called.
    pub(crate) fn of_revision(&self, name: &str) -> String {
        match self.owner().revision.as_deref() {
            None | Some("default") => name.to_owned(),
            Some(revision) => format!("{name}-{revision}"),
        }
    }

    pub(crate) fn source(&self, cluster_domain: &str) -> SourceOptions {
        let owner = self.owner();
        SourceOptions {
            owner,
            cluster_domain: cluster_domain.to_owned(),
            istio_namespace: self.istio_namespace.clone(),
            mesh_config: self.of_revision(MESH_CONFIG),
            namespace: self.namespace.clone(),
        }
    }
}
