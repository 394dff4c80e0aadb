//! Indexes what Kubernetes and Istio say exists.
//!
//! Objects come and go one at a time, in any order; a question is answered from indexes by host, by address and
//! by workload, without a scan. Nothing here decides anything: that is `decide` and `scope`.

mod addresses;
mod affected;
mod attached;
mod bounds;
mod callees;
mod canonical;
mod change;
mod clusters;
mod discovery;
mod dns;
mod endpoints;
mod export;
mod gamma;
mod hosts;
mod index;
mod mesh_service;
mod namespaced;
mod peers;
mod pods;
mod ports;
mod prefixes;
mod protocol;
mod routes;
mod rules;
mod services;
mod user_sidecars;

use std::collections::{BTreeMap, BTreeSet};

use crate::names::{ClusterId, EgressHost, Workload};
use crate::resource::{Canary, Kind, Mesh, Mode, Object, ObjectKey, Ttl};

use self::attached::Attached;
use self::bounds::Bounds;
use self::callees::CalleeIndex;
use self::clusters::Clusters;
use self::dns::DnsIndex;
use self::endpoints::EndpointIndex;
use self::peers::PeerIndex;
use self::pods::PodIndex;
use self::ports::PortIndex;
use self::prefixes::PrefixIndex;
use self::routes::RouteIndex;
use self::rules::RuleIndex;
use self::services::ServiceIndex;
use self::user_sidecars::UserSidecars;

pub use self::affected::{Affected, Subject};
pub(crate) use self::callees::Caller;
pub(crate) use self::canonical::CANONICAL_NAME_LABEL;
pub use self::change::Change;
pub(crate) use self::endpoints::Endpoint;
pub(crate) use self::mesh_service::{Form, MeshService, Passing, Port, ToldBy};
pub(crate) use self::pods::Pod;
pub(crate) use self::protocol::Protocol as Spoken;
pub(crate) use self::routes::{Route, binds_sidecars};
pub use self::user_sidecars::MANAGED_BY;

/// All objects, by what questions ask for.
#[derive(Debug, Default)]
pub struct Inventory {
    mesh: Mesh,
    objects: BTreeMap<ObjectKey, Object>,
    /// The clusters that objects were read from.
    clusters: Clusters<usize>,
    /// The Namespaces that discoverySelectors select; of no account where there are none.
    discovered: BTreeSet<String>,
    services_count: usize,
    modes: BTreeMap<String, Option<Mode>>,
    /// Of the namespaces whose label says one.
    canaries: BTreeMap<String, Canary>,
    /// As above.
    ttls: BTreeMap<String, Ttl>,
    pub(crate) services: ServiceIndex,
    pub(crate) endpoints: Clusters<EndpointIndex>,
    pub(crate) pods: Clusters<PodIndex>,
    pub(crate) callees: CalleeIndex,
    dns: DnsIndex,
    ports: PortIndex,
    prefixes: PrefixIndex,
    attached: Attached,
    pub(crate) routes: RouteIndex,
    pub(crate) rules: RuleIndex,
    pub(crate) peers: PeerIndex,
    pub(crate) user_sidecars: UserSidecars,
}

impl Inventory {
    /// An empty inventory.
    #[must_use]
    pub fn new(mesh: Mesh) -> Self {
        Self {
            mesh,
            ..Self::default()
        }
    }

    /// The names that the mesh's configuration decides.
    #[must_use]
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// The cluster that a caller is in: the only one there is, whatever its proxy calls it, or the one that it names.
    pub(crate) fn cluster_of<'a>(&'a self, named: &'a ClusterId) -> &'a ClusterId {
        let mut clusters = self.clusters.iter().map(|(cluster, _)| cluster);
        match (clusters.next(), clusters.next()) {
            (Some(only), None) => only,
            _ => named,
        }
    }

    fn count_cluster(&mut self, key: &ObjectKey, was_there: bool, is_there: bool) {
        let count = self.clusters.entry(&key.cluster);
        *count = *count - usize::from(was_there) + usize::from(is_there);
        if *count == 0 {
            self.clusters.remove(&key.cluster);
        }
    }

    /// How many objects there are, of all kinds, in the mesh or outside of it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// How many Kubernetes Services there are.
    #[must_use]
    pub fn services(&self) -> usize {
        self.services_count
    }

    /// A workload's mode: its pods', or the one that pods without a label inherit, as does a workload without pods.
    pub(crate) fn mode(&self, workload: &Workload, inherited: Mode) -> Mode {
        let pods = self.pods.of(workload);
        let modes = pods.map(|pod| pod.mode.unwrap_or(inherited));
        modes.max().unwrap_or(inherited)
    }

    /// How long what a workload depends on stays unseen: as its pods say, or its namespace for pods without a label.
    pub(crate) fn ttl(&self, workload: &Workload, default: Ttl) -> Ttl {
        let inherited = self.ttls.get(&workload.namespace).copied();
        let inherited = inherited.unwrap_or(default);
        let pods = self.pods.of(workload);
        let ttls = pods.map(|pod| Ttl::of(&pod.labels).unwrap_or(inherited));
        ttls.max().unwrap_or(inherited)
    }

    /// The names of all Namespaces, sorted.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.modes.keys().map(String::as_str)
    }

    /// Whether there is such a namespace.
    #[must_use]
    pub fn has_namespace(&self, namespace: &str) -> bool {
        self.modes.contains_key(namespace)
    }

    /// How much of a namespace is to be enforced, where its label says that.
    #[must_use]
    pub fn canary(&self, namespace: &str) -> Option<&Canary> {
        self.canaries.get(namespace)
    }

    /// The namespaces whose label says how much of them is to be enforced, sorted.
    pub fn canaries(&self) -> impl Iterator<Item = (&str, &Canary)> {
        let canaries = self.canaries.iter();
        canaries.map(|(namespace, canary)| (namespace.as_str(), canary))
    }

    /// What a namespace's own label asks for.
    pub(crate) fn namespace_mode(&self, namespace: &str) -> Option<Mode> {
        self.modes.get(namespace).copied().flatten()
    }

    /// The workloads that have pods in a namespace, sorted. A pod that has neither a canonical name nor a sidecar
    /// has none.
    #[must_use]
    pub fn workloads_in(&self, namespace: &str) -> Vec<Workload> {
        let mut workloads: Vec<_> = self.pods.workloads_in(namespace).cloned().collect();
        workloads.sort_unstable();
        workloads.dedup();
        workloads
    }

    /// At least the first so many workloads with pods behind one of them, in no order.
    pub fn workloads_after(
        &self,
        after: Option<&Workload>,
        count: usize,
    ) -> impl Iterator<Item = &Workload> {
        self.pods.workloads_after(after, count)
    }

    /// Whether a namespace has running workloads.
    #[must_use]
    pub fn has_workloads_in(&self, namespace: &str) -> bool {
        self.pods.workloads_in(namespace).next().is_some()
    }

    /// Whether there is any running workload. Directories often have no pods, which says nothing about what runs.
    #[must_use]
    pub fn has_pods(&self) -> bool {
        self.pods.any()
    }

    /// Whether a workload has pods.
    #[must_use]
    pub fn is_running(&self, workload: &Workload) -> bool {
        self.pods.of(workload).next().is_some()
    }

    /// Whether a workload has a pod with a sidecar, with Envoy in it, that runs.
    #[must_use]
    pub fn runs_sidecar(&self, workload: &Workload) -> bool {
        self.pods.of(workload).any(|pod| pod.runs_sidecar)
    }

    /// Whether the namespace's default Sidecar rules some of a workload's pods: those without the label of the
    /// canonical name, by which its own Sidecar would select them.
    #[must_use]
    pub fn is_ruled_by_default(&self, workload: &Workload) -> bool {
        self.pods.of(workload).any(Pod::is_unlabelled)
    }

    /// What a workload sees that no Sidecar of its namespace rules: all of the mesh, or what a user's Sidecar in the root
    /// namespace says.
    pub(crate) fn full_scope(&self) -> BTreeSet<EgressHost> {
        let entry = |namespace: &str, host: &str| EgressHost {
            namespace: namespace.to_owned(),
            host: host.to_owned(),
        };
        match self.user_sidecars.scope_of_mesh(&self.mesh.root_namespace) {
            None => BTreeSet::from([entry("*", "*")]),
            Some(hosts) => hosts
                .filter_map(|host| host.split_once('/'))
                .map(|(namespace, host)| entry(namespace, host))
                .collect(),
        }
    }

    /// The service accounts that a workload's pods run as.
    #[must_use]
    pub fn service_accounts(&self, workload: &Workload) -> BTreeSet<String> {
        self.pods
            .of(workload)
            .map(|pod| pod.service_account.clone())
            .collect()
    }

    /// Bounds what clients see by what the root namespace's Sidecar says now.
    fn set_bounds(&mut self) {
        let ruling = self.user_sidecars.scope_of_mesh(&self.mesh.root_namespace);
        let bounds = ruling.map_or_else(Bounds::default, Bounds::new);
        self.services.set_bounds(bounds.clone());
        self.routes.set_bounds(bounds);
    }

    /// The Kubernetes Services that select a pod.
    pub(crate) fn services_of(&self, pod: &Pod) -> impl Iterator<Item = EgressHost> {
        let first = ObjectKey::new(Kind::Service, pod.namespace.as_str(), "");
        let services = self.objects.range(first..).map_while(|(key, object)| {
            let service = match object {
                Object::Service(service) => service,
                _ => return None,
            };
            (key.namespace == pod.namespace).then_some((key, service))
        });
        let services = services.filter(|(key, _)| key.cluster == pod.cluster);
        let services = services.map(|(_, service)| service);
        let selecting = services.filter(|service| {
            let mut labels = service.spec.selector.iter();
            !service.spec.selector.is_empty()
                && labels.all(|(key, value)| pod.labels.get(key) == Some(value))
        });
        selecting.filter_map(|service| Some(mesh_service::of_service(service, &self.mesh)?.egress))
    }

    /// The egress host that a client's sidecar has under a name, as its clusters are called: `reviews.shop.svc.cluster.local`.
    #[must_use]
    pub fn egress_host_seen(&self, host: &str, client: &str) -> Option<EgressHost> {
        let service = self.services.visible(&host.to_ascii_lowercase(), client)?;
        Some(service.egress.clone())
    }

    /// The egress host of a Kubernetes Service, if there is such a Service.
    #[must_use]
    pub fn egress_host_of(&self, namespace: &str, service: &str) -> Option<EgressHost> {
        let host = format!("{service}.{namespace}.svc.{}", self.mesh.cluster_domain);
        let host = host.to_ascii_lowercase();
        let mut services = self.services.named(&host);
        let service = services.find(|it| it.is_kubernetes() && it.namespace() == namespace)?;
        Some(service.egress.clone())
    }
}
