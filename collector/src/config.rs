//! Everything that can be said to a collector on its command line or in its environment.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use lazymesh_core::{DefaultExportTo, EgressHost, Limits, Mesh, Visibility};

use crate::listen::ListenConfig;

/// Configuration of a collector.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Listeners.
    #[command(flatten)]
    pub listen: ListenConfig,
    /// Directories.
    #[command(flatten)]
    pub places: PlacesConfig,
    /// Names that the mesh's own configuration decides.
    #[command(flatten)]
    pub mesh: MeshConfig,
    /// What every sidecar sees.
    #[command(flatten)]
    pub visibility: VisibilityConfig,
    /// How far the graph may grow.
    #[command(flatten)]
    pub limits: LimitsConfig,
    /// Kubernetes.
    #[cfg(feature = "kubernetes")]
    #[command(flatten)]
    pub kubernetes: crate::kubernetes::KubernetesConfig,
}

/// Where things are read from and written to.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Directories")]
pub struct PlacesConfig {
    /// Where the collector keeps what it has learned; made when it is not there
    #[arg(long, value_name = "DIR", env = "LAZYMESH_DATA_DIR")]
    pub data_dir: PathBuf,
    /// Kubernetes and Istio manifests that say what is in the mesh; watched for changes
    #[arg(long, value_name = "DIR", env = "LAZYMESH_MANIFESTS")]
    #[cfg_attr(feature = "kubernetes", arg(required_unless_present = "kubernetes"))]
    #[cfg_attr(not(feature = "kubernetes"), arg(required = true))]
    pub manifests: Option<PathBuf>,
    /// Where Sidecars are published, one YAML file each; without it they are only planned
    #[arg(long, value_name = "DIR", env = "LAZYMESH_PUBLISH_DIR")]
    pub publish_dir: Option<PathBuf>,
}

/// The names of [`Mesh`].
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Mesh")]
pub struct MeshConfig {
    /// DNS domain of the cluster
    #[arg(
        long,
        value_name = "DOMAIN",
        default_value = "cluster.local",
        env = "LAZYMESH_CLUSTER_DOMAIN"
    )]
    pub cluster_domain: String,
    /// Trust domain of the workloads' SPIFFE identities
    #[arg(
        long,
        value_name = "DOMAIN",
        default_value = "cluster.local",
        env = "LAZYMESH_TRUST_DOMAIN"
    )]
    pub trust_domain: String,
    /// Istio's root namespace
    #[arg(
        long,
        value_name = "NAMESPACE",
        default_value = "istio-system",
        env = "LAZYMESH_ROOT_NAMESPACE"
    )]
    pub root_namespace: String,
}

impl From<MeshConfig> for Mesh {
    fn from(config: MeshConfig) -> Self {
        Self {
            cluster_domain: config.cluster_domain,
            trust_domain: config.trust_domain,
            root_namespace: config.root_namespace,
            default_export_to: DefaultExportTo::default(),
        }
    }
}

/// What stands in every Sidecar.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Sidecars")]
pub struct VisibilityConfig {
    /// The collector's own host: without it in scope, filters cannot call
    #[arg(
        long,
        value_name = "NS/HOST",
        default_value = "lazymesh-system/lazymesh-collector.lazymesh-system.svc.cluster.local",
        env = "LAZYMESH_COLLECTOR_HOST"
    )]
    pub collector_host: EgressHost,
    /// Host of the port anchor, which keeps HTTP listeners alive in otherwise empty sidecars
    #[arg(
        long,
        value_name = "NS/HOST",
        default_value = "lazymesh-system/lazymesh-ports.lazymesh-system.svc.cluster.local",
        env = "LAZYMESH_ANCHOR_HOST"
    )]
    pub anchor_host: EgressHost,
    /// A host that every sidecar must see; may be given many times
    #[arg(
        long,
        value_name = "NS/HOST",
        env = "LAZYMESH_ALWAYS_VISIBLE",
        value_delimiter = ','
    )]
    pub always_visible: Vec<EgressHost>,
}

impl From<VisibilityConfig> for Visibility {
    fn from(config: VisibilityConfig) -> Self {
        let own = [config.collector_host, config.anchor_host];
        let always: BTreeSet<_> = own.into_iter().chain(config.always_visible).collect();
        Self { always }
    }
}

/// The numbers of [`Limits`].
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub struct LimitsConfig {
    /// Most workloads that are learned about
    #[arg(long, value_name = "N", default_value_t = Limits::default().workloads, env = "LAZYMESH_MAX_WORKLOADS")]
    pub max_workloads: usize,
    /// Most dependencies of one workload
    #[arg(
        long,
        value_name = "N",
        default_value_t = Limits::default().dependencies_per_workload,
        env = "LAZYMESH_MAX_DEPENDENCIES"
    )]
    pub max_dependencies: usize,
    /// Most hosts outside the mesh that are recorded for one workload
    #[arg(
        long,
        value_name = "N",
        default_value_t = Limits::default().externals_per_workload,
        env = "LAZYMESH_MAX_EXTERNAL_HOSTS"
    )]
    pub max_external_hosts: usize,
}

impl From<LimitsConfig> for Limits {
    fn from(config: LimitsConfig) -> Self {
        Self {
            workloads: config.max_workloads,
            dependencies_per_workload: config.max_dependencies,
            externals_per_workload: config.max_external_hosts,
        }
    }
}
