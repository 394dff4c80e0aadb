//! Holds what a graph remembers: dependencies, hosts outside the mesh, and where they come from.

use serde::{Deserialize, Serialize};

use super::Sightings;
use crate::names::{EgressHost, Workload};

/// Where a dependency comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A sidecar met the host.
    Learned,
    /// A person asked for it.
    Pinned,
}

/// A workload's need for one egress host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// Who needs it.
    pub source: Workload,
    /// What is needed.
    pub host: EgressHost,
    /// When it was first met, in milliseconds since 1970.
    pub first_seen_ms: u64,
    /// When it was last met, in milliseconds since 1970.
    pub last_seen_ms: u64,
    /// Requests or connections that were reported.
    pub count: u64,
    /// Learned or pinned.
    pub origin: Origin,
    /// Who saw it, and when.
    pub sightings: Sightings,
}

/// A host outside the mesh that a workload called. Recorded, never put into a Sidecar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalHost {
    /// Who called it.
    pub source: Workload,
    /// Host, with its port unless that is the protocol's own.
    pub host: String,
    /// When it was first met, in milliseconds since 1970.
    pub first_seen_ms: u64,
    /// When it was last met, in milliseconds since 1970.
    pub last_seen_ms: u64,
    /// Requests or connections that were reported.
    pub count: u64,
}

/// What a question taught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learned {
    /// The source needs this egress host.
    Host(EgressHost),
    /// The source called this host outside the mesh: normalised, with its port unless that is the protocol's own.
    External(String),
    /// Nothing that may be recorded.
    Nothing,
}
