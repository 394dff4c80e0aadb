//! The Sidecars that lazymesh publishes.
//!
//! istiod has a fast path for a Sidecar whose entries are all exact (`servicesForExactHosts` in
//! `pilot/pkg/model/sidecar.go`): a look-up an entry, where one wildcard makes it scan every service of the mesh
//! on every push. So entries are exact. A ServiceEntry or VirtualService whose own host is a wildcard is the one
//! exception: istiod imports it only by an entry that covers the whole wildcard (`host.Name.SubsetOf`), so that
//! `ns/a.example.com` would import nothing. It is named by its own wildcard, no wider, and only the Sidecars of
//! the workloads that call it pay the scan.

mod closure;
mod manifest;
mod owner;

use std::collections::BTreeSet;

use crate::graph::Graph;
use crate::inventory::{Inventory, Mode};
use crate::names::{EgressHost, Workload};
use crate::object::ObjectKey;

pub use self::owner::DEFAULT_NAME;
pub(crate) use self::owner::user_sidecar_of;

/// What every sidecar must see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visibility {
    /// The collector's host, the port anchors, what the user listed.
    pub always: BTreeSet<EgressHost>,
}

/// A Sidecar that lazymesh publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SidecarSpec {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Canonical name of the workload it selects; none for the namespace's default.
    pub workload: Option<String>,
    /// Its egress hosts; with none of them the workload sees nothing.
    pub hosts: BTreeSet<EgressHost>,
}

/// What is to happen to a Sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// It is to be there as this.
    Publish(SidecarSpec),
    /// A person's Sidecar rules here: lazymesh has none.
    UserManaged(ObjectKey),
    /// Lazymesh has none.
    NotEnforced,
}

/// The Sidecar of one workload: what is always visible, what it depends on, and what comes along.
///
/// A workload that its pods' label takes out of an enforced namespace gets a Sidecar too, with `*/*`: without
/// one of its own the namespace's default would scope it.
#[must_use]
pub fn plan_workload(
    inventory: &Inventory,
    graph: &Graph,
    visibility: &Visibility,
    workload: &Workload,
) -> Plan {
    let enforced = inventory.mode(workload) == Mode::Enforce;
    let hosts = if enforced {
        scope(inventory, graph, visibility, workload)
    } else if matches!(
        plan_namespace(inventory, graph, visibility, &workload.namespace),
        Plan::Publish(_)
    ) {
        BTreeSet::from([everything()])
    } else {
        return Plan::NotEnforced;
    };
    if let Some(owner) = user_sidecar_of(inventory, workload) {
        return Plan::UserManaged(owner);
    }
    Plan::Publish(SidecarSpec {
        namespace: workload.namespace.clone(),
        name: owner::sidecar_name(&workload.name),
        workload: Some(workload.name.clone()),
        hosts,
    })
}

/// The Sidecar of a namespace's pods that no workload's Sidecar selects: what is always visible, and what the
/// workloads of pods without the canonical name's label depend on, since no other Sidecar can be theirs. When one of
/// those pods is not to be enforced it has everything, as nothing less leaves that pod alone.
///
/// Never one in the root namespace: without a selector it would scope the whole mesh.
#[must_use]
pub fn plan_namespace(
    inventory: &Inventory,
    graph: &Graph,
    visibility: &Visibility,
    namespace: &str,
) -> Plan {
    let root = inventory.mesh().root_namespace == namespace;
    if root || inventory.namespace_mode(namespace) != Mode::Enforce {
        return Plan::NotEnforced;
    }
    if let Some(owner) = inventory
        .user_sidecars
        .of_namespace(namespace, owner::DEFAULT_NAME)
    {
        return Plan::UserManaged(owner);
    }
    Plan::Publish(SidecarSpec {
        namespace: namespace.to_owned(),
        name: owner::DEFAULT_NAME.to_owned(),
        workload: None,
        hosts: default_scope(inventory, graph, visibility, namespace),
    })
}

fn default_scope(
    inventory: &Inventory,
    graph: &Graph,
    visibility: &Visibility,
    namespace: &str,
) -> BTreeSet<EgressHost> {
    let mut hosts = visibility.always.clone();
    if inventory.pods.capture_dns_in(namespace) {
        hosts.extend(inventory.hosts_of_istio_dns().cloned());
    }
    let mut workloads = BTreeSet::new();
    for pod in inventory.pods.unlabelled_in(namespace) {
        if pod.mode.is_some_and(|mode| mode != Mode::Enforce) {
            return BTreeSet::from([everything()]);
        }
        workloads.extend(pod.workload());
    }
    for workload in workloads {
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
    let mut hosts = visibility.always.clone();
    if inventory.pods.of(workload).any(|pod| pod.captures_dns) {
        hosts.extend(inventory.hosts_of_istio_dns().cloned());
    }
    for dependency in graph.dependencies(workload) {
        // A host that is gone stays: its entry costs nothing, and a service that flaps must not be forgotten.
        hosts.insert(dependency.host.clone());
        closure::extend(inventory, &workload.namespace, &dependency.host, &mut hosts);
    }
    hosts
}

/// Istio's default scope, which no [`EgressHost::new`] makes.
fn everything() -> EgressHost {
    EgressHost {
        namespace: "*".to_owned(),
        host: "*".to_owned(),
    }
}
