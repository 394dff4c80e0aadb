//! Estimates what enforcing leaves of a workload's scope.

use std::collections::BTreeSet;
use std::fmt;

use super::policy::Visibility;
use super::scope;
use crate::graph::{Graph, Limits};
use crate::inventory::{Form, Inventory, MeshService, Pod};
use crate::names::{EgressHost, Workload};
use crate::resource::{Mode, OLDEST_SIDECAR};

/// What a scope holds, as a sidecar gets it from istiod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Hosts of Services and ServiceEntries.
    pub services: usize,
    /// Outbound clusters: one for each port, and for each port of each subset.
    pub clusters: usize,
    /// Endpoints of Kubernetes Services in these clusters.
    pub endpoints: usize,
}

/// What enforcing leaves of a workload's scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// What it has without a Sidecar of lazymesh's.
    pub full: Footprint,
    /// What it would have, were it enforced now.
    pub scoped: Footprint,
    /// The egress hosts of that scope.
    pub hosts: BTreeSet<EgressHost>,
    /// Egress hosts of that scope that it has without having learned anything.
    pub always_visible: usize,
    /// Egress hosts of that scope that come along with others: their other names, destinations, callees.
    pub along: usize,
    /// Why less would not do, or why not all of its pods would have it.
    pub limits: Vec<Limit>,
}

/// What keeps a workload from having a small scope, or a pod from having its workload's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// A pod of it speaks xDS without Envoy, so that no filter tells what it calls.
    Proxyless,
    /// A pod of it has a sidecar that is older than the filter is for.
    OldSidecar,
    /// None of its pods has a sidecar, so that nothing is scoped, and nothing learned.
    NoSidecar,
    /// It, or its namespace, depends on as many hosts as it may, so that it cannot learn more.
    Full,
    /// A pod of it has no label with its canonical name, so that the namespace's default rules that one.
    Unlabelled,
}

impl Limit {
    /// In one word, for programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Proxyless => "proxyless",
            Self::OldSidecar => "old-sidecar",
            Self::NoSidecar => "no-sidecar",
            Self::Full => "full",
            Self::Unlabelled => "unlabelled",
        }
    }
}

impl Footprint {
    /// About so many bytes istiod sends for it in clusters, endpoints and routes.
    ///
    /// Measured for services of one port and five endpoints (`bench mesh-scale`); how that is split is assumed.
    #[must_use]
    pub fn xds_bytes(&self) -> usize {
        self.clusters * 2_600 + self.endpoints * 200
    }

    /// About so much memory Envoy allocates for it, as [`Footprint::xds_bytes`].
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.clusters * 66_500 + self.endpoints * 3_000
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Proxyless => {
                "a pod of it speaks xDS without a sidecar, so the workload keeps its full scope"
            }
            Self::OldSidecar => {
                return write!(
                    out,
                    "a pod of it has a sidecar older than Istio 1.{OLDEST_SIDECAR}, which the filter is not for, so the workload keeps its full scope"
                );
            }
            Self::NoSidecar => {
                "none of its pods has a sidecar: they call as without Istio, and nothing learns what"
            }
            Self::Full => {
                "it or its namespace has as many dependencies as it may, or there are as many workloads, so it keeps its full scope"
            }
            Self::Unlabelled => {
                "a pod of it lacks the label service.istio.io/canonical-name, so the namespace's default Sidecar rules that pod"
            }
        })
    }
}

/// What enforcing would leave of a workload's scope, whatever its mode is now.
#[must_use]
pub fn estimate(
    inventory: &Inventory,
    graph: &Graph,
    visibility: &Visibility,
    workload: &Workload,
) -> Estimate {
    let client = workload.namespace.as_str();
    let hosts = scope(inventory, graph, visibility, workload);
    let nothing = Graph::new(Limits::default());
    let always = scope(inventory, &nothing, visibility, workload);
    let learned: BTreeSet<_> = graph.dependencies(workload).map(|it| &it.host).collect();
    let is_full = hosts == inventory.full_scope();
    let along = hosts
        .iter()
        .filter(|host| !always.contains(host) && !learned.contains(host))
        .count();
    let full = footprint(inventory, client, of_client(inventory, client));
    let services = hosts.iter().filter_map(|host| inventory.services.get(host));
    Estimate {
        full,
        scoped: match is_full {
            true => full,
            false => footprint(inventory, client, services),
        },
        always_visible: if is_full { 0 } else { always.len() },
        along: if is_full { 0 } else { along },
        limits: limits(inventory, graph, workload),
        hosts,
    }
}

/// Every service that a client sees without a Sidecar of its namespace.
fn of_client<'a>(
    inventory: &'a Inventory,
    client: &'a str,
) -> impl Iterator<Item = &'a MeshService> {
    inventory.services.under("", client)
}

fn footprint<'a>(
    inventory: &Inventory,
    client: &str,
    services: impl Iterator<Item = &'a MeshService>,
) -> Footprint {
    let root = &inventory.mesh().root_namespace;
    services.fold(Footprint::default(), |sum, service| {
        let ports = match service.form {
            Form::ExternalName(_) => 0,
            _ => service.ports.len(),
        };
        let subsets = inventory
            .rules
            .subsets(service.key(), client, service.namespace(), root);
        let slices = inventory
            .endpoints
            .slices(service.namespace(), &service.name);
        let slices = slices.filter(|_| service.is_kubernetes());
        let endpoints: usize = slices.map(|(_, slice)| slice.endpoints.len()).sum();
        Footprint {
            services: sum.services + 1,
            clusters: sum.clusters + ports * (1 + subsets),
            endpoints: sum.endpoints + ports * endpoints,
        }
    })
}

fn limits(inventory: &Inventory, graph: &Graph, workload: &Workload) -> Vec<Limit> {
    let has = |is: fn(&Pod) -> bool| inventory.pods.of(workload).any(is);
    let is_bare = !has(|pod| !pod.is_bare) && inventory.is_running(workload);
    let found = [
        (Limit::Proxyless, has(|pod| pod.is_proxyless)),
        (Limit::OldSidecar, has(|pod| pod.has_old_sidecar)),
        (Limit::NoSidecar, is_bare),
        (Limit::Full, !graph.has_room(workload, Mode::Enforce)),
        (Limit::Unlabelled, has(Pod::is_unlabelled)),
    ];
    let found = found.into_iter().filter(|(_, is)| *is);
    found.map(|(limit, _)| limit).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::resource::{Mesh, Object};

    #[test]
    fn pods_that_cannot_learn_are_told() {
        let check = |pods: &[Value], expect: &[Limit], full: bool| {
            let mut inventory = Inventory::new(Mesh::default());
            for (n, containers) in pods.iter().enumerate() {
                let pod = json!({
                    "apiVersion": "v1", "kind": "Pod",
                    "metadata": {"name": format!("web-{n}"), "namespace": "shop", "labels": {"service.istio.io/canonical-name": "web"}},
                    "spec": {"containers": containers},
                });
                inventory.apply(Object::from_value(pod).unwrap().unwrap());
            }
            let graph = Graph::new(Limits::default());
            let workload = Workload::new("shop", "web").unwrap();
            let found = estimate(&inventory, &graph, &Visibility::default(), &workload);
            assert_eq!(found.limits, expect, "{pods:?}");
            assert_eq!(found.hosts == inventory.full_scope(), full, "{pods:?}");
        };
        let sidecar =
            |image: &str| json!([{"name": "app"}, {"name": "istio-proxy", "image": image}]);
        let (old, new) = (
            sidecar("istio/proxyv2:1.27.9"),
            sidecar("istio/proxyv2:1.28.0"),
        );
        let grpc = json!([{"name": "istio-proxy", "env": [{"name": "ISTIO_META_GENERATOR", "value": "grpc"}]}]);
        let bare = json!([{"name": "app"}]);
        check(&[], &[], false);
        check(std::slice::from_ref(&new), &[], false);
        check(&[sidecar("auto")], &[], false);
        check(&[json!(null)], &[], false);
        check(&[grpc], &[Limit::Proxyless], true);
        check(&[old, new.clone()], &[Limit::OldSidecar], true);
        check(std::slice::from_ref(&bare), &[Limit::NoSidecar], false);
        check(&[bare, new], &[], false);
    }
}
