//! Holds everything that can be said to a collector on its command line or in its environment.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use lazymesh_core::{
    ClusterId, DefaultExportTo, EgressHost, Expiry, Filters, Limits, Mesh, Mode, Policy, Ttl,
    Visibility,
};

use crate::runtime::flag::{duration, number};
use crate::runtime::listen::ListenConfig;

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
    /// Canaries.
    #[command(flatten)]
    pub canary: crate::canary::CanaryConfig,
    /// Prometheus.
    #[command(flatten)]
    pub prometheus: crate::prometheus::PrometheusConfig,
    /// Traces.
    #[command(flatten)]
    pub spans: crate::spans::SpansConfig,
    /// Kubernetes.
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
    /// Go on with what can be read of a data directory that is damaged, after keeping a copy of it as damaged-TIME
    #[arg(long, env = "LAZYMESH_ACCEPT_DAMAGE")]
    pub accept_damage: bool,
    /// How often it is written down there when known things were last used, in seconds; a crash costs as much of that
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 600,
        value_parser = number(1..=u64::MAX),
        env = "LAZYMESH_USAGE_INTERVAL"
    )]
    pub usage_interval: u64,
    /// Kubernetes and Istio manifests that say what is in the mesh; watched for changes
    #[arg(
        long,
        value_name = "DIR",
        env = "LAZYMESH_MANIFESTS",
        required_unless_present = "kubernetes"
    )]
    pub manifests: Option<PathBuf>,
    /// Where Sidecars are published, one YAML file each; without it they are only planned
    #[arg(long, value_name = "DIR", env = "LAZYMESH_PUBLISH_DIR")]
    pub publish_dir: Option<PathBuf>,
    /// How long istiod and sidecars may take to follow a change, as in 15s: so long a new attachment comes before
    /// the Sidecars, so long the clusters of hosts come before their routes, and so long they stay after them
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = duration, env = "LAZYMESH_SETTLE")]
    pub settle: Duration,
}

/// The names of [`Mesh`].
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Mesh")]
pub struct MeshConfig {
    /// DNS domain of the cluster; without it, what Istio's injector gives to sidecars where --kubernetes is given, else
    /// cluster.local
    #[arg(long, value_name = "DOMAIN", env = "LAZYMESH_CLUSTER_DOMAIN")]
    pub cluster_domain: Option<String>,
    /// ID of the cluster that is read, as istiod and its proxies have it in CLUSTER_ID
    #[arg(long, value_name = "ID", default_value_t, env = "LAZYMESH_CLUSTER_ID")]
    pub cluster_id: ClusterId,
    /// Trust domain of the workloads' SPIFFE identities
    #[arg(
        long,
        value_name = "DOMAIN",
        default_value = "cluster.local",
        env = "LAZYMESH_TRUST_DOMAIN"
    )]
    pub trust_domain: String,
    /// Another name of the trust domain, as trustDomainAliases in Istio's mesh configuration; may be given many times.
    /// Where --kubernetes is given the mesh configuration says both
    #[arg(
        long,
        value_name = "DOMAIN",
        env = "LAZYMESH_TRUST_DOMAIN_ALIAS",
        value_delimiter = ','
    )]
    pub trust_domain_alias: Vec<String>,
    /// Istio's root namespace
    #[arg(
        long,
        value_name = "NAMESPACE",
        default_value = "istio-system",
        env = "LAZYMESH_ROOT_NAMESPACE"
    )]
    pub root_namespace: String,
    /// The mesh closes what Istio knows no host for (outboundTrafficPolicy REGISTRY_ONLY). Where --kubernetes is given the mesh
    /// configuration says it
    #[arg(long, env = "LAZYMESH_REGISTRY_ONLY")]
    pub registry_only: bool,
}

impl From<MeshConfig> for Mesh {
    fn from(config: MeshConfig) -> Self {
        Self {
            cluster_domain: config
                .cluster_domain
                .unwrap_or_else(|| Mesh::default().cluster_domain),
            trust_domain: config.trust_domain,
            trust_domain_aliases: config.trust_domain_alias,
            root_namespace: config.root_namespace,
            registry_only: config.registry_only,
            default_export_to: DefaultExportTo::default(),
            discovery_selectors: Vec::new(),
        }
    }
}

/// What stands in every Sidecar.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Sidecars")]
pub struct VisibilityConfig {
    /// The collector's own host: without it in scope, filters cannot call; by default Service lazymesh-collector of
    /// lazymesh's own namespace
    #[arg(long, value_name = "NS/HOST", env = "LAZYMESH_COLLECTOR_HOST")]
    pub collector_host: Option<EgressHost>,
    /// Host of the port anchor, which keeps HTTP listeners alive in otherwise empty sidecars; by default Service
    /// lazymesh-ports of lazymesh's own namespace
    #[arg(long, value_name = "NS/HOST", env = "LAZYMESH_ANCHOR_HOST")]
    pub anchor_host: Option<EgressHost>,
    /// A host that every sidecar must see; may be given many times
    #[arg(
        long,
        value_name = "NS/HOST",
        env = "LAZYMESH_ALWAYS_VISIBLE",
        value_delimiter = ','
    )]
    pub always_visible: Vec<EgressHost>,
    /// What lazymesh does where neither a namespace nor a pod has the label lazymesh.io/mode: learn, enforce or off
    #[arg(
        long,
        value_name = "MODE",
        default_value_t,
        env = "LAZYMESH_DEFAULT_MODE"
    )]
    pub default_mode: Mode,
}

/// Namespace of lazymesh itself, where nothing says another.
pub(crate) const NAMESPACE: &str = "lazymesh-system";

/// Where lazymesh itself is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home<'a> {
    /// Its namespace.
    pub(crate) namespace: &'a str,
    /// DNS domain of the cluster.
    pub(crate) cluster_domain: &'a str,
}

impl Home<'_> {
    fn host(self, service: &str) -> EgressHost {
        let Self {
            namespace,
            cluster_domain,
        } = self;
        EgressHost {
            namespace: namespace.to_owned(),
            host: format!("{service}.{namespace}.svc.{cluster_domain}"),
        }
    }
}

impl Config {
    /// What every sidecar sees.
    pub(crate) fn visibility(&self, home: Home<'_>) -> Visibility {
        Visibility {
            always: self.visibility.always(home),
            http_only: !self.kubernetes.attach.attach_tcp,
        }
    }

    /// What every sidecar sees, and who may be lazy.
    pub(crate) fn policy(&self, home: Home<'_>) -> Policy {
        let kubernetes = &self.kubernetes;
        let requires_filters = kubernetes.kubernetes && !kubernetes.enforce_unheard;
        Policy {
            visibility: self.visibility(home),
            off: false,
            default_mode: self.visibility.default_mode,
            filters: match requires_filters {
                true => Filters::required(),
                false => Filters::default(),
            },
            expiry: self.limits.expiry(),
            bounds: self.canary.bounds(),
            ..Policy::default()
        }
    }
}

impl VisibilityConfig {
    pub(crate) fn collector_host(&self, home: Home<'_>) -> EgressHost {
        let given = self.collector_host.clone();
        given.unwrap_or_else(|| home.host("lazymesh-collector"))
    }

    fn anchor_host(&self, home: Home<'_>) -> EgressHost {
        let given = self.anchor_host.clone();
        given.unwrap_or_else(|| home.host("lazymesh-ports"))
    }

    fn always(&self, home: Home<'_>) -> BTreeSet<EgressHost> {
        let own = [self.collector_host(home), self.anchor_host(home)];
        let listed = self.always_visible.iter().cloned();
        own.into_iter().chain(listed).collect()
    }
}

/// The numbers of [`Limits`].
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub struct LimitsConfig {
    /// Most workloads that are learned about, as many again where they are enforced. One namespace may have as many as it
    /// leaves to others
    #[arg(
        long,
        value_name = "N",
        default_value_t = Limits::default().workloads,
        value_parser = number(0..=usize::MAX),
        env = "LAZYMESH_MAX_WORKLOADS"
    )]
    pub max_workloads: usize,
    /// Most dependencies of one workload
    #[arg(
        long,
        value_name = "N",
        default_value_t = Limits::default().dependencies_per_workload,
        value_parser = number(0..=usize::MAX),
        env = "LAZYMESH_MAX_DEPENDENCIES"
    )]
    pub max_dependencies: usize,
    /// Most dependencies in all; each needs up to a kilobyte of memory. One namespace may have as many as it leaves to others:
    /// where it has them, its workloads get their full scope
    #[arg(
        long,
        value_name = "N",
        default_value_t = Limits::default().dependencies,
        value_parser = number(0..=usize::MAX),
        env = "LAZYMESH_MAX_DEPENDENCIES_IN_ALL"
    )]
    pub max_dependencies_in_all: usize,
    /// Most hosts outside the mesh that are recorded for one workload
    #[arg(
        long,
        value_name = "N",
        default_value_t = Limits::default().externals_per_workload,
        value_parser = number(0..=usize::MAX),
        env = "LAZYMESH_MAX_EXTERNAL_HOSTS"
    )]
    pub max_external_hosts: usize,
    /// Most hosts outside the mesh that are recorded in all; each needs about a kilobyte of memory
    #[arg(
        long,
        value_name = "N",
        default_value_t = Limits::default().externals,
        value_parser = number(0..=usize::MAX),
        env = "LAZYMESH_MAX_EXTERNAL_HOSTS_IN_ALL"
    )]
    pub max_external_hosts_in_all: usize,
    /// How long a workload has no pods until what it has learned is forgotten, as in 168h; a minute where its namespace has no
    /// room left
    #[arg(long, value_name = "TIME", default_value = "168h", value_parser = duration, env = "LAZYMESH_FORGET_AFTER")]
    pub forget_after: Duration,
    /// How long a dependency goes unseen until it leaves its workload's scope, as in 30d, or off; the label lazymesh.io/ttl of
    /// a namespace or a pod says another
    #[arg(long, value_name = "TIME", default_value_t, env = "LAZYMESH_TTL")]
    pub ttl: Ttl,
    /// Most of a workload's dependencies that leave so within a day, in percent
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = Expiry::default().percent_a_day,
        value_parser = clap::value_parser!(u8).range(0..=100),
        env = "LAZYMESH_TTL_PERCENT_A_DAY"
    )]
    pub ttl_percent_a_day: u8,
}

impl LimitsConfig {
    fn expiry(&self) -> Expiry {
        Expiry {
            ttl: self.ttl,
            percent_a_day: self.ttl_percent_a_day,
        }
    }
}

impl From<LimitsConfig> for Limits {
    fn from(config: LimitsConfig) -> Self {
        Self {
            workloads: config.max_workloads,
            dependencies_per_workload: config.max_dependencies,
            dependencies: config.max_dependencies_in_all,
            externals_per_workload: config.max_external_hosts,
            externals: config.max_external_hosts_in_all,
        }
    }
}
