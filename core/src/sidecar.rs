use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::graph::Graph;
use crate::inventory::Inventory;
use crate::names::{EgressHost, Workload};
use crate::object::ObjectKey;

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
    /// Its egress hosts.
    pub hosts: BTreeSet<EgressHost>,
}

impl SidecarSpec {
    /// The Sidecar as Kubernetes takes it.
    #[must_use]
    pub fn manifest(&self) -> Value {
        json!({})
    }
}

/// What is to happen to a Sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// It is to be there as this.
    Publish(SidecarSpec),
    /// A person's Sidecar rules here; lazymesh has none.
    UserManaged(ObjectKey),
    /// Lazymesh has none.
    NotEnforced,
}

/// The Sidecar of one workload.
#[must_use]
pub fn plan_workload(_: &Inventory, _: &Graph, _: &Visibility, _: &Workload) -> Plan {
    Plan::NotEnforced
}

/// The Sidecar of a namespace's other workloads.
#[must_use]
pub fn plan_namespace(_: &Inventory, _: &Visibility, _: &str) -> Plan {
    Plan::NotEnforced
}
