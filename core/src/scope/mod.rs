//! Plans the Sidecars that lazymesh publishes.
//!
//! istiod has a fast path for a Sidecar whose entries are all exact (`servicesForExactHosts` in
//! `pilot/pkg/model/sidecar.go`): a look-up an entry, where one wildcard makes it scan every service of the mesh
//! on every push. So entries are exact. A ServiceEntry or VirtualService whose own host is a wildcard is the one
//! exception: istiod imports it only by an entry that covers the whole wildcard (`host.Name.SubsetOf`), so that
//! `ns/a.example.com` would import nothing. It is named by its own wildcard, no wider, and only the Sidecars of
//! the workloads that call it pay the scan.

mod always;
mod canary;
mod cause;
mod closure;
mod confidence;
mod estimate;
mod expiry;
mod manifest;
mod owner;
mod policy;
mod reason;
mod rollout;
mod spec;
mod standing;
mod undecided;
mod unheld;

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{Graph, Origin};
use crate::inventory::{Inventory, Pod, Subject};
use crate::names::{EgressHost, Workload};
use crate::resource::Mode;

use self::always::always_visible;
pub use self::always::{AlwaysVisible, always_visible_in};
pub use self::canary::{Bounds, Calls, Revert, Symptom, Symptoms};
use self::cause::Tie;
pub use self::cause::{Cause, Rule};
use self::closure::Closure;
pub use self::confidence::{Confidence, Gap, confidence};
pub use self::estimate::{Estimate, Footprint, Limit, estimate};
pub use self::expiry::{Expiry, expired};
pub(crate) use self::owner::user_sidecar_of;
pub use self::owner::{DEFAULT_NAME, sidecar_name};
pub use self::policy::{Filters, Policy, Visibility};
pub use self::reason::{Reason, obstacle};
pub use self::rollout::{EgressScope, Rollout, Stage, Transit, roll_out};
pub use self::spec::SidecarSpec;
pub(crate) use self::standing::standing;
pub use self::standing::{Standing, Wide};

/// What is to happen to somebody's Sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// It is to be there as this.
    Publish(SidecarSpec),
    /// Lazymesh has none.
    None(Reason),
}

/// The Sidecar that somebody is to have.
///
/// A workload's has what is always visible, what it depends on, and what comes along; everything where there is no room
/// to learn more, or its filters are silent. A workload that its pods' label takes out of an enforced namespace has its full scope, since
/// without a Sidecar of its own the namespace's default would scope it.
///
/// A namespace's is for the pods that no workload's Sidecar selects. It has what is always visible, and what the
/// workloads of pods without the canonical name's label depend on, since no other Sidecar can be theirs. When one of
/// those pods is not to be enforced, or a person's Sidecar took its workload over but does not select that pod, it has
/// everything, as nothing less leaves that pod alone.
#[must_use]
pub fn plan(inventory: &Inventory, graph: &Graph, policy: &Policy, subject: &Subject) -> Plan {
    if let Some(reason) = obstacle(inventory, graph, policy, subject) {
        return Plan::None(reason);
    }
    let hosts = match subject {
        Subject::Namespace(namespace) => default_scope(inventory, graph, policy, namespace),
        Subject::Workload(workload) => match policy.mode(inventory, workload) {
            Mode::Enforce if policy.filters.silent().contains(workload) => inventory.full_scope(),
            Mode::Enforce => scope(inventory, graph, &policy.visibility, workload),
            Mode::Learn | Mode::Off => inventory.full_scope(),
        },
    };
    let spec = of_namespace(inventory, &policy.visibility, subject.namespace(), hosts);
    Plan::Publish(match subject {
        Subject::Namespace(_) => spec,
        Subject::Workload(workload) => SidecarSpec {
            name: owner::sidecar_name(&workload.name),
            workload: Some(workload.name.clone()),
            ..spec
        },
    })
}

fn default_scope(
    inventory: &Inventory,
    graph: &Graph,
    policy: &Policy,
    namespace: &str,
) -> BTreeSet<EgressHost> {
    let visibility = &policy.visibility;
    if owner::leaves_pods_behind(inventory, namespace) {
        return inventory.full_scope();
    }
    let captures_dns = inventory.pods.capture_dns_in(namespace);
    let mut closure = always(inventory, visibility, namespace, captures_dns);
    add_callees(inventory, namespace, &[], &mut closure);
    let mut hosts = closure.into_hosts();
    let mut workloads = BTreeSet::new();
    for pod in inventory.pods.unlabelled_in(namespace) {
        if pod.mode.is_some_and(|mode| mode != Mode::Enforce) {
            return inventory.full_scope();
        }
        workloads.extend(pod.workload());
    }
    for workload in workloads {
        let is_silent = policy.filters.silent().contains(&workload);
        if is_silent || !graph.has_room(&workload, Mode::Enforce) {
            return inventory.full_scope();
        }
        hosts.extend(scope(inventory, graph, visibility, &workload));
    }
    hosts
}

fn scope(
    inventory: &Inventory,
    graph: &Graph,
    visibility: &Visibility,
    workload: &Workload,
) -> BTreeSet<EgressHost> {
    match grow(inventory, graph, visibility, workload) {
        Ok(closure) => closure.into_hosts(),
        Err(_) => inventory.full_scope(),
    }
}

/// What a workload's scope grows to, or why it has to have everything.
fn grow<'a>(
    inventory: &'a Inventory,
    graph: &Graph,
    visibility: &Visibility,
    workload: &'a Workload,
) -> Result<Closure<'a>, Limit> {
    if let Some(limit) = limit(inventory, graph, workload) {
        return Err(limit);
    }
    let pods: Vec<_> = inventory.pods.of(workload).collect();
    let captures_dns = pods.iter().any(|pod| pod.captures_dns);
    let mut closure = always(inventory, visibility, &workload.namespace, captures_dns);
    let labels: Vec<_> = pods.iter().map(|pod| &pod.labels).collect();
    add_callees(inventory, &workload.namespace, &labels, &mut closure);
    for pod in pods.iter().filter(|pod| pod.discovers_itself) {
        for service in inventory.services_of(pod) {
            closure.add_named(&service.key(), Tie::Own);
        }
    }
    // Nothing that was learned opens what the mesh's own Sidecar closes.
    let admitted = |host| inventory.services.admits(host, &workload.namespace);
    for known in graph
        .dependencies(workload)
        .filter(|known| admitted(&known.host))
    {
        let tie = match known.origin {
            Origin::Learned => Tie::Learned,
            Origin::Pinned => Tie::Pinned,
        };
        // A host that is gone stays: its entry costs nothing, and a service that flaps must not be forgotten.
        closure.add(&known.host, tie);
    }
    Ok(closure)
}

/// Why a workload has to have everything, if it does.
fn limit(inventory: &Inventory, graph: &Graph, workload: &Workload) -> Option<Limit> {
    if !graph.has_room(workload, Mode::Enforce) {
        return Some(Limit::Full);
    }
    // Where no filter could learn the rest, a pod has what istiod gives it.
    let mut pods = inventory.pods.of(workload);
    pods.find_map(|pod| match pod {
        Pod {
            is_proxyless: true, ..
        } => Some(Limit::Proxyless),
        Pod {
            has_old_sidecar: true,
            ..
        } => Some(Limit::OldSidecar),
        _ => None,
    })
}

/// What the sidecars themselves call, for filters that are not lazymesh's.
fn add_callees<'a>(
    inventory: &'a Inventory,
    namespace: &'a str,
    pods: &[&BTreeMap<String, String>],
    closure: &mut Closure<'a>,
) {
    let root = &inventory.mesh().root_namespace;
    for (host, caller) in inventory.callees.of(namespace, root, pods) {
        closure.add_named(host, Tie::Callee(caller));
    }
}

/// What a namespace's workloads see without having learned it.
fn always<'a>(
    inventory: &'a Inventory,
    visibility: &Visibility,
    namespace: &'a str,
    captures_dns: bool,
) -> Closure<'a> {
    let mut closure = Closure::new(inventory, namespace);
    for (host, why) in always_visible(inventory, visibility, namespace, captures_dns) {
        closure.add(&host, Tie::Always(why));
    }
    closure
}

/// The Sidecar of a namespace, with these hosts.
fn of_namespace(
    inventory: &Inventory,
    visibility: &Visibility,
    namespace: &str,
    hosts: BTreeSet<EgressHost>,
) -> SidecarSpec {
    let is_undecided = |host: &&EgressHost| {
        let service = inventory.services.get(host);
        service.is_some_and(|service| undecided::why(inventory, visibility, service).is_some())
    };
    let is_routed = |host: &&EgressHost| {
        let key = host.key();
        key != "*" && inventory.routes.covering(&key, namespace).next().is_some()
    };
    SidecarSpec {
        namespace: namespace.to_owned(),
        name: owner::DEFAULT_NAME.to_owned(),
        workload: None,
        undecided: hosts.iter().filter(is_undecided).cloned().collect(),
        routed: hosts.iter().filter(is_routed).cloned().collect(),
        hosts,
        full: inventory.full_scope(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Limits;
    use crate::resource::Mesh;
    use crate::resource::Object;
    use serde_json::json;

    /// The Sidecar of a workload whose graph has room for `room` workloads.
    fn plan(pods: &[&str], room: usize) -> Plan {
        plan_under(&Policy::default(), pods, room)
    }

    fn plan_under(policy: &Policy, pods: &[&str], room: usize) -> Plan {
        let mut inventory = Inventory::new(Mesh::default());
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": "shop", "labels": { "lazymesh.io/mode": "enforce" } },
        });
        let pods = pods.iter().map(|name| {
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "namespace": "shop", "name": name,
                    "labels": { "service.istio.io/canonical-name": "web" },
                },
            })
        });
        for value in [namespace].into_iter().chain(pods) {
            inventory.apply(Object::from_value(value).unwrap().unwrap());
        }
        let graph = Graph::new(Limits {
            workloads: room,
            ..Limits::default()
        });
        let workload = Workload::new("shop", "web").unwrap();
        let subject = Subject::Workload(workload);
        super::plan(&inventory, &graph, policy, &subject)
    }

    #[test]
    fn a_workload_whose_filters_are_silent_has_everything() {
        let mut policy = Policy::default();
        let hosts = |policy: &Policy| match plan_under(policy, &["web-1"], 1) {
            Plan::Publish(sidecar) => sidecar.hosts,
            other => panic!("{other:?}"),
        };
        let full = Inventory::new(Mesh::default()).full_scope();
        for (name, expect) in [("other", BTreeSet::new()), ("web", full)] {
            let workload = Workload::new("shop", name).unwrap();
            policy.filters.set_silent(BTreeSet::from([workload]));
            assert_eq!(hosts(&policy), expect, "{name} is silent");
        }
    }

    #[test]
    fn a_workload_that_cannot_learn_has_everything() {
        let hosts = |room| match plan(&["web-1"], room) {
            Plan::Publish(sidecar) => sidecar.hosts,
            other => panic!("{other:?}"),
        };
        assert_eq!(hosts(1), BTreeSet::new());
        assert_eq!(
            hosts(0),
            Inventory::new(Mesh::default()).full_scope(),
            "*/*"
        );
    }

    #[test]
    fn a_workload_that_has_gone_and_learned_nothing_has_no_sidecar() {
        assert_eq!(plan(&[], 1), Plan::None(Reason::NothingLearned));
    }
}
