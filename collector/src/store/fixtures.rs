//! Records for the tests of the store.

use lazymesh_core::{
    Dependency, EgressHost, ExternalHost, Origin, Seen, Sightings, Witness, Workload,
};

pub(super) fn workload(name: &str) -> Workload {
    Workload::new("shop", name).unwrap()
}

pub(super) fn dependency(source: &str, host: &str) -> Dependency {
    Dependency {
        source: workload(source),
        host: EgressHost {
            namespace: "prod".to_owned(),
            host: format!("{host}.prod.svc.cluster.local"),
        },
        first_seen_ms: 1_000,
        last_seen_ms: 2_000,
        count: 3,
        origin: Origin::Learned,
        sightings: Sightings::of(
            Witness::AccessLog,
            Seen {
                first_ms: 1_500,
                last_ms: 2_000,
            },
        ),
    }
}

pub(super) fn external(source: &str, host: &str) -> ExternalHost {
    ExternalHost {
        source: workload(source),
        host: host.to_owned(),
        first_seen_ms: 1_000,
        last_seen_ms: 2_000,
        count: 3,
    }
}
