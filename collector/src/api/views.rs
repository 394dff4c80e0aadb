//! What the graph looks like to a REST client.
//!
//! Separate from the types of `lazymesh_core`, so that those can change without changing the API.

use lazymesh_core::{
    AlwaysVisible, Dependency, EgressHost, ExternalHost, Mode, Origin, Seen, Witness, Workload,
};
use serde::Serialize;
use utoipa::ToSchema;

/// What lazymesh does for a workload.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ModeView {
    /// Its dependencies are recorded, and its Sidecar is published.
    Enforce,
    /// Its dependencies are recorded, its scope is left alone.
    Learn,
    /// Nothing of it is recorded, its scope is left alone.
    Off,
}

impl From<Mode> for ModeView {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Enforce => Self::Enforce,
            Mode::Learn => Self::Learn,
            Mode::Off => Self::Off,
        }
    }
}

/// A workload's name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkloadRef {
    namespace: String,
    /// Canonical name.
    name: String,
}

impl From<&Workload> for WorkloadRef {
    fn from(workload: &Workload) -> Self {
        Self {
            namespace: workload.namespace.clone(),
            name: workload.name.clone(),
        }
    }
}

/// Where a dependency comes from.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OriginView {
    /// A sidecar met the host.
    Learned,
    /// A person asked for it.
    Pinned,
}

/// What sees calls.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WitnessView {
    /// The filter: what its sidecar did not know.
    Filter,
    /// The sidecar's access log.
    AccessLog,
    /// Prometheus.
    Prometheus,
}

impl From<Witness> for WitnessView {
    fn from(witness: Witness) -> Self {
        match witness {
            Witness::Filter => Self::Filter,
            Witness::AccessLog => Self::AccessLog,
            Witness::Prometheus => Self::Prometheus,
        }
    }
}

/// Who saw a dependency, and when.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SightingView {
    witness: WitnessView,
    /// Milliseconds since 1970.
    first_seen_ms: u64,
    /// Milliseconds since 1970.
    last_seen_ms: u64,
}

impl From<(Witness, Seen)> for SightingView {
    fn from((witness, seen): (Witness, Seen)) -> Self {
        Self {
            witness: witness.into(),
            first_seen_ms: seen.first_ms,
            last_seen_ms: seen.last_ms,
        }
    }
}

/// A workload's need for one egress host.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DependencyView {
    source: WorkloadRef,
    /// The egress host, as a Sidecar names it: `<namespace>/<host>`.
    #[schema(example = "shop/reviews.shop.svc.cluster.local")]
    host: String,
    /// Milliseconds since 1970.
    first_seen_ms: u64,
    /// Milliseconds since 1970.
    last_seen_ms: u64,
    /// Requests or connections that met the host while it was not in scope.
    count: u64,
    origin: OriginView,
    /// Who saw it, each by itself.
    seen_by: Vec<SightingView>,
}

impl From<&Dependency> for DependencyView {
    fn from(dependency: &Dependency) -> Self {
        Self {
            source: (&dependency.source).into(),
            host: dependency.host.to_string(),
            first_seen_ms: dependency.first_seen_ms,
            last_seen_ms: dependency.last_seen_ms,
            count: dependency.count,
            origin: match dependency.origin {
                Origin::Learned => OriginView::Learned,
                Origin::Pinned => OriginView::Pinned,
            },
            seen_by: dependency
                .sightings
                .iter()
                .map(SightingView::from)
                .collect(),
        }
    }
}

/// A host that stays in every scope.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlwaysVisibleView {
    /// The egress host, as a Sidecar names it: `<namespace>/<host>`.
    #[schema(example = "data/mysql.data.svc.cluster.local")]
    host: String,
    /// Why, in one word.
    #[schema(example = "shares-http-port")]
    reason: &'static str,
    /// Why, in a sentence.
    detail: String,
}

impl From<(&EgressHost, &AlwaysVisible)> for AlwaysVisibleView {
    fn from((host, why): (&EgressHost, &AlwaysVisible)) -> Self {
        Self {
            host: host.to_string(),
            reason: why.word(),
            detail: why.to_string(),
        }
    }
}

/// A host outside the mesh that a workload called.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExternalHostView {
    source: WorkloadRef,
    /// Host, with its port unless that is the protocol's own.
    #[schema(example = "api.example.com")]
    host: String,
    /// Milliseconds since 1970.
    first_seen_ms: u64,
    /// Milliseconds since 1970.
    last_seen_ms: u64,
    /// Requests or connections.
    count: u64,
}

impl From<&ExternalHost> for ExternalHostView {
    fn from(external: &ExternalHost) -> Self {
        Self {
            source: (&external.source).into(),
            host: external.host.clone(),
            first_seen_ms: external.first_seen_ms,
            last_seen_ms: external.last_seen_ms,
            count: external.count,
        }
    }
}
