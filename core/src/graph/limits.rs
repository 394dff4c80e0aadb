//! Holds how far a graph may grow, and what of it a namespace has.

/// How far a graph may grow by learning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most workloads; as many again where they are enforced, so that those which are only learned leave them room.
    pub workloads: usize,
    /// Most dependencies of one workload.
    pub dependencies_per_workload: usize,
    /// Most dependencies of all workloads together.
    pub dependencies: usize,
    /// Most external hosts of one workload.
    pub externals_per_workload: usize,
    /// Most external hosts of all workloads together.
    pub externals: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            workloads: 20_000,
            dependencies_per_workload: 2_000,
            dependencies: 200_000,
            externals_per_workload: 500,
            externals: 100_000,
        }
    }
}

/// What a namespace has of a graph.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Share {
    pub(super) workloads: usize,
    pub(super) dependencies: usize,
    pub(super) externals: usize,
}

/// Whether a namespace may have workloads and dependencies more, by mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Those that are only learned.
    pub learn: bool,
    /// Those that are enforced.
    pub enforce: bool,
}
