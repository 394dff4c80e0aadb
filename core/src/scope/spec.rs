//! Holds what a Sidecar of lazymesh says.

use std::collections::BTreeSet;

use crate::names::EgressHost;

/// A Sidecar that lazymesh publishes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SidecarSpec {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Canonical name of the workload it selects; none for the namespace's default.
    pub workload: Option<String>,
    /// Its egress hosts; with none of them the workload sees nothing.
    pub hosts: BTreeSet<EgressHost>,
    /// Those of them that the filter does not decide: what it does for a host until its routes or listeners are there, it does
    /// not do for these.
    pub undecided: BTreeSet<EgressHost>,
    /// Those of them that a VirtualService rules, which the filter leads past until their routes are there.
    pub routed: BTreeSet<EgressHost>,
    /// What its workloads see without any Sidecar of their namespace.
    pub full: BTreeSet<EgressHost>,
}
