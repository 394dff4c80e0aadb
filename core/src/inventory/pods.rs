//! Indexes the pods of each cluster, by name, by address and by workload.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;

use super::canonical::{self, CANONICAL_NAME_LABEL};
use super::clusters::Clusters;
use super::namespaced::Namespaced;
use crate::names::{ClusterId, Workload};
use crate::resource::{self, Mode};

const TLS_MODE_LABEL: &str = "security.istio.io/tlsMode";
/// What Kubernetes gives a pod that names none.
const DEFAULT_SERVICE_ACCOUNT: &str = "default";

/// What lazymesh keeps of a pod.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) cluster: ClusterId,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) service_account: String,
    /// Whether its sidecar takes Istio mTLS.
    pub(crate) speaks_mtls: bool,
    /// Whether its sidecar answers its questions to DNS.
    pub(crate) captures_dns: bool,
    /// Whether it has no Envoy, so that no filter tells what it calls.
    pub(crate) is_proxyless: bool,
    /// Whether its sidecar is older than the filter is for.
    pub(crate) has_old_sidecar: bool,
    /// Whether it says what runs in it, and none of that is a sidecar.
    pub(crate) is_bare: bool,
    /// Whether it has a sidecar with Envoy, which runs.
    pub(crate) runs_sidecar: bool,
    /// Whether its sidecar needs the services that select it.
    pub(crate) discovers_itself: bool,
    /// Whether a Job has made it, so that it runs now and then.
    pub(crate) is_job: bool,
    /// What its own label asks for.
    pub(crate) mode: Option<Mode>,
    /// Name of its workload.
    workload: Option<String>,
    addresses: Vec<IpAddr>,
}

impl Pod {
    /// Its workload, if it is of one.
    pub(crate) fn workload(&self) -> Option<Workload> {
        Workload::new(self.namespace.as_str(), self.workload.as_deref()?).ok()
    }

    /// Whether a workload's Sidecar does not select it, so that the namespace's default rules it.
    pub(crate) fn is_unlabelled(&self) -> bool {
        !self.labels.contains_key(CANONICAL_NAME_LABEL)
    }
}

/// Pods of a cluster that run, or are about to.
#[derive(Debug, Default)]
pub(crate) struct PodIndex {
    pods: Namespaced<Arc<Pod>>,
    by_address: HashMap<IpAddr, BTreeMap<(String, String), Arc<Pod>>>,
    by_workload: BTreeMap<Workload, BTreeMap<String, Arc<Pod>>>,
    /// Those of workloads that no workload's Sidecar selects.
    unlabelled: Namespaced<Arc<Pod>>,
    /// Those whose sidecars answer DNS.
    capturing: Namespaced<()>,
}

impl PodIndex {
    pub(crate) fn insert(&mut self, object: &resource::Pod) {
        // A pod that has ended keeps its address in its status, though another may have it by now.
        if matches!(object.status.phase.as_str(), "Succeeded" | "Failed") {
            return;
        }
        let pod = Arc::new(read_pod(object));
        let (namespace, name) = (&pod.namespace, &pod.name);
        self.pods.insert(namespace, name, Arc::clone(&pod));
        if pod.captures_dns {
            self.capturing.insert(namespace, name, ());
        }
        for address in &pod.addresses {
            let pods = self.by_address.entry(*address).or_default();
            pods.insert((namespace.clone(), name.clone()), Arc::clone(&pod));
        }
        if pod.workload.is_some() && pod.is_unlabelled() {
            self.unlabelled.insert(namespace, name, Arc::clone(&pod));
        }
        if let Some(workload) = pod.workload() {
            let pods = self.by_workload.entry(workload).or_default();
            pods.insert(name.clone(), Arc::clone(&pod));
        }
    }

    pub(crate) fn remove(&mut self, namespace: &str, name: &str) {
        let Some(pod) = self.pods.remove(namespace, name) else {
            return;
        };
        let place = (namespace.to_owned(), name.to_owned());
        for address in &pod.addresses {
            if let Some(pods) = self.by_address.get_mut(address) {
                pods.remove(&place);
                if pods.is_empty() {
                    self.by_address.remove(address);
                }
            }
        }
        self.unlabelled.remove(namespace, name);
        self.capturing.remove(namespace, name);
        let Some(workload) = pod.workload() else {
            return;
        };
        if let Some(pods) = self.by_workload.get_mut(&workload) {
            pods.remove(name);
            if pods.is_empty() {
                self.by_workload.remove(&workload);
            }
        }
    }

    fn at(&self, address: IpAddr) -> Option<&Pod> {
        let pods = self.by_address.get(&address)?;
        if pods.len() == 1 {
            pods.values().next().map(Arc::as_ref)
        } else {
            None
        }
    }

    fn of(&self, workload: &Workload) -> impl Iterator<Item = &Pod> {
        let pods = self.by_workload.get(workload);
        pods.into_iter().flat_map(BTreeMap::values).map(Arc::as_ref)
    }

    fn unlabelled_in(&self, namespace: &str) -> impl Iterator<Item = &Pod> {
        let pods = self.unlabelled.iter_in(namespace);
        pods.map(|(_, pod)| pod.as_ref())
    }

    fn capture_dns_in(&self, namespace: &str) -> bool {
        self.capturing.iter_in(namespace).next().is_some()
    }

    /// Sorted, from behind one of them.
    fn workloads_after(&self, after: Option<&Workload>) -> impl Iterator<Item = &Workload> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.by_workload.range((start, Bound::Unbounded));
        rest.map(|(workload, _)| workload)
    }

    fn workloads_in(&self, namespace: &str) -> impl Iterator<Item = &Workload> {
        let rest = self.by_workload.range(Workload::before_all_of(namespace)..);
        let rest = rest.map(|(workload, _)| workload);
        rest.take_while(move |workload| workload.namespace == namespace)
    }
}

impl Clusters<PodIndex> {
    pub(crate) fn named(&self, cluster: &ClusterId, namespace: &str, name: &str) -> Option<&Pod> {
        let pod = self.get(cluster)?.pods.get(namespace, name);
        pod.map(Arc::as_ref)
    }

    /// The pod of a cluster that has an address, if only one has.
    pub(crate) fn at(&self, cluster: &ClusterId, address: IpAddr) -> Option<&Pod> {
        self.get(cluster)?.at(address)
    }

    /// Whether any pod belongs to a workload.
    pub(crate) fn any(&self) -> bool {
        self.values().any(|pods| !pods.by_workload.is_empty())
    }

    /// A workload's pods; those of a cluster sorted by name.
    pub(crate) fn of(&self, workload: &Workload) -> impl Iterator<Item = &Pod> {
        self.values().flat_map(|pods| pods.of(workload))
    }

    /// The pods of a namespace that belong to a workload whose Sidecar does not select them, in no order.
    pub(crate) fn unlabelled_in(&self, namespace: &str) -> impl Iterator<Item = &Pod> {
        self.values().flat_map(|pods| pods.unlabelled_in(namespace))
    }

    /// Whether the sidecar of any pod of a namespace answers DNS.
    pub(crate) fn capture_dns_in(&self, namespace: &str) -> bool {
        self.values().any(|pods| pods.capture_dns_in(namespace))
    }

    /// The workloads that have pods in a namespace, in no order, each once for every cluster that has some.
    pub(crate) fn workloads_in(&self, namespace: &str) -> impl Iterator<Item = &Workload> {
        self.values().flat_map(|pods| pods.workloads_in(namespace))
    }

    /// At least the first so many behind one of them, in no order.
    pub(super) fn workloads_after(
        &self,
        after: Option<&Workload>,
        count: usize,
    ) -> impl Iterator<Item = &Workload> {
        let clusters = self.values();
        clusters.flat_map(move |pods| pods.workloads_after(after).take(count))
    }
}

fn read_pod(object: &resource::Pod) -> Pod {
    let (metadata, status) = (&object.metadata, &object.status);
    let account = object.spec.service_account_name.as_str();
    let containers = [object.spec.containers, object.spec.init_containers];
    let mut proxies = containers.iter().filter_map(|of| of.proxy);
    Pod {
        cluster: metadata.cluster.clone(),
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone(),
        labels: metadata.labels.clone(),
        service_account: if account.is_empty() {
            DEFAULT_SERVICE_ACCOUNT
        } else {
            account
        }
        .to_owned(),
        speaks_mtls: metadata
            .labels
            .get(TLS_MODE_LABEL)
            .is_some_and(|mode| mode == "istio"),
        captures_dns: proxies.clone().any(|proxy| proxy.captures_dns),
        is_proxyless: proxies.clone().any(|proxy| proxy.is_proxyless),
        has_old_sidecar: proxies.clone().any(|proxy| proxy.is_old),
        is_bare: containers.iter().any(|of| of.any) && proxies.clone().next().is_none(),
        runs_sidecar: status.phase == "Running"
            && proxies
                .clone()
                .any(|proxy| !proxy.is_proxyless && !proxy.is_gateway),
        discovers_itself: proxies.any(|proxy| proxy.discovers_itself),
        is_job: metadata
            .owner_references
            .iter()
            .any(|owner| owner.controller && owner.kind == "Job"),
        mode: Mode::of(&metadata.labels),
        workload: canonical::name(object),
        addresses: read_addresses(object, status),
    }
}

/// None for a pod that shares its node's address: it says nothing about who answers there.
fn read_addresses(object: &resource::Pod, status: &resource::PodStatus) -> Vec<IpAddr> {
    if object.spec.host_network {
        return Vec::new();
    }
    let texts = status
        .pod_ips
        .iter()
        .map(|entry| &entry.ip)
        .chain([&status.pod_ip]);
    let addresses: BTreeSet<_> = texts.filter_map(|text| text.parse().ok()).collect();
    addresses.into_iter().collect()
}
