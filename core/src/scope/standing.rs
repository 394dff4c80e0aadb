//! Says whether a host is in a workload's scope, and why.

use std::fmt;

use super::{Cause, Limit, Policy, Reason, grow, obstacle};
use crate::graph::Graph;
use crate::inventory::{Inventory, Subject};
use crate::names::{EgressHost, Workload};
use crate::resource::{Mode, ObjectKey};

/// Whether a host is in a workload's scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The workload's Sidecar is to have it: the host itself, then the one that brought it, and so on to the first.
    Scoped(Vec<Cause>),
    /// The workload has its full scope.
    Full(Wide),
    /// It is not in scope.
    Absent,
    /// A person's Sidecar says it.
    UserManaged(ObjectKey),
}

/// Why a workload has its full scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wide {
    /// It has no Sidecar of lazymesh's.
    NoSidecar(Reason),
    /// Its own mode takes it out of an enforced namespace.
    Mode(Mode),
    /// It cannot learn what else it needs.
    Limit(Limit),
}

impl Wide {
    /// In one word, for programs.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::NoSidecar(reason) => reason.word(),
            Self::Mode(Mode::Off) => "off",
            Self::Mode(_) => "learn-only",
            Self::Limit(limit) => limit.word(),
        }
    }
}

impl fmt::Display for Wide {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSidecar(reason) => reason.fmt(out),
            Self::Mode(_) => out.write_str("its own label takes it out of an enforced namespace"),
            Self::Limit(limit) => limit.fmt(out),
        }
    }
}

/// Whether an egress host, one that the workload may see, is in its scope.
pub(crate) fn standing(
    inventory: &Inventory,
    graph: &Graph,
    policy: &Policy,
    workload: &Workload,
    host: &EgressHost,
) -> Standing {
    match obstacle(
        inventory,
        graph,
        policy,
        &Subject::Workload(workload.clone()),
    ) {
        // It has one as soon as it runs.
        None | Some(Reason::NothingLearned) => {}
        Some(Reason::UserManaged(sidecar)) => return Standing::UserManaged(sidecar),
        Some(reason) => return Standing::Full(Wide::NoSidecar(reason)),
    }
    let mode = policy.mode(inventory, workload);
    if mode != Mode::Enforce {
        return Standing::Full(Wide::Mode(mode));
    }
    match grow(inventory, graph, &policy.visibility, workload) {
        Err(limit) => Standing::Full(Wide::Limit(limit)),
        Ok(closure) => match closure.why(host) {
            causes if causes.is_empty() => Standing::Absent,
            causes => Standing::Scoped(causes),
        },
    }
}
