//! The few names that meshes are made of.

use proptest::prelude::*;
use proptest::sample::select;

pub(super) const NAMESPACES: [&str; 4] = ["a", "b", "c", "istio-system"];
/// Of services; `w` is the one of the workload that calls.
pub(super) const NAMES: [&str; 4] = ["x", "y", "z", "w"];
/// The last is one on which Istio never waits for what a client says first.
pub(super) const PORTS: [u16; 5] = [80, 443, 8080, 9090, 3306];

/// Hosts as ServiceEntries and VirtualServices write them.
const HOSTS: [&str; 19] = [
    "x",
    "y",
    "x.a",
    "x.b",
    "y.b.svc",
    "x.a.svc.cluster.local",
    "x.b.svc.cluster.local",
    "y.b.svc.cluster.local",
    "y.c.svc.cluster.local",
    "y.b.svc.cluster.local.",
    "api.test",
    "API.Test",
    "v1.api.test",
    "other.example",
    "x.b.svc.clusterset.local",
    "*.test",
    "*.api.test",
    "*.b.svc.cluster.local",
    "*.svc.cluster.local",
];

pub(super) fn host() -> impl Strategy<Value = &'static str> {
    select(&HOSTS)
}

/// A host that is not a short name and no wildcard.
pub(super) fn full_host() -> impl Strategy<Value = &'static str> {
    select(&HOSTS).prop_filter("a full name", |host| {
        host.contains('.') && !host.contains('*')
    })
}

/// Where routes send.
pub(super) fn destination() -> impl Strategy<Value = &'static str> {
    select(&HOSTS).prop_filter("no wildcard", |host| !host.contains('*'))
}

/// Mostly absent.
pub(super) fn export_to() -> impl Strategy<Value = Option<Vec<&'static str>>> {
    let some = prop_oneof![
        4 => select(&["*", ".", "a", "b"]).prop_map(|entry| vec![entry]),
        1 => select(vec![vec!["a", "b"], vec!["b", "c"]]),
    ];
    prop::option::weighted(0.4, some)
}
