//! The few names that meshes are made of.

use proptest::prelude::*;
use proptest::sample::select;

pub(super) const NAMESPACES: [&str; 3] = ["a", "b", "istio-system"];
pub(super) const NAMES: [&str; 3] = ["x", "y", "z"];
pub(super) const PORTS: [u16; 4] = [80, 443, 8080, 9090];

/// Hosts as ServiceEntries and VirtualServices write them.
const HOSTS: [&str; 15] = [
    "x",
    "y",
    "x.a",
    "x.b",
    "y.b.svc",
    "x.a.svc.cluster.local",
    "x.b.svc.cluster.local",
    "y.b.svc.cluster.local",
    "api.test",
    "v1.api.test",
    "other.example",
    "x.b.svc.clusterset.local",
    "*.test",
    "*.api.test",
    "*.b.svc.cluster.local",
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
    let some = select(&["*", ".", "a", "b"]).prop_map(|entry| vec![entry]);
    prop::option::weighted(0.4, some)
}
