//! Says why somebody has no Sidecar of lazymesh's.

use std::fmt;

use super::Revert;
use super::owner;
use super::policy::Policy;
use crate::graph::Graph;
use crate::inventory::{Inventory, Subject};
use crate::names::Workload;
use crate::resource::{Canary, Mode, ObjectKey};

/// Why somebody has no Sidecar of lazymesh's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// All of lazymesh is switched off.
    SwitchedOff,
    /// Its mode is `off`.
    Off,
    /// Its mode is `learn`.
    LearnOnly,
    /// Its namespace is enforced bit by bit, and it is not its turn yet.
    Canary(Canary),
    /// The canary of its namespace failed.
    Reverted(Revert),
    /// A Sidecar without a selector in the root namespace would scope the whole mesh.
    Root,
    /// A person's Sidecar rules here.
    UserManaged(ObjectKey),
    /// No filter has called from its namespace yet.
    NoFilterSeen,
    /// It has no pods, and nothing was learned about it.
    NothingLearned,
}

impl Reason {
    /// In one word, for programs.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::SwitchedOff => "switched-off",
            Self::Off => "off",
            Self::LearnOnly => "learn-only",
            Self::Canary(_) => "canary",
            Self::Reverted(_) => "reverted",
            Self::Root => "root",
            Self::UserManaged(_) => "user-managed",
            Self::NoFilterSeen => "no-filter-seen",
            Self::NothingLearned => "nothing-learned",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SwitchedOff => {
                out.write_str("lazymesh is switched off by the label of its own namespace")
            }
            Self::Off => {
                out.write_str("the mode is off; label it lazymesh.io/mode=enforce for a Sidecar")
            }
            Self::LearnOnly => {
                out.write_str("the mode is learn; label it lazymesh.io/mode=enforce for a Sidecar")
            }
            Self::Canary(canary @ Canary::Percent(_)) => write!(
                out,
                "{canary}: of a hundred workloads so many are enforced, and this is none of them; a larger number adds more"
            ),
            Self::Canary(misfit @ Canary::Misfit(_)) => {
                write!(out, "{misfit}; until then no workload is enforced by it")
            }
            Self::Reverted(revert) => write!(
                out,
                "the canary failed ({revert}), so the namespace has its full scope; lazymesh resume {}, or another lazymesh.io/enforce-percent, tries again",
                revert.workload.namespace
            ),
            Self::Root => out.write_str(
                "a default Sidecar in Istio's root namespace would scope the whole mesh",
            ),
            Self::UserManaged(sidecar) => {
                write!(out, "{sidecar} rules here, and lazymesh does not own it")
            }
            Self::NoFilterSeen => out.write_str(
                "no filter has called from the namespace yet; without one it cannot be lazy",
            ),
            Self::NothingLearned => {
                out.write_str("it has no pods, and nothing was learned about it")
            }
        }
    }
}

/// Why somebody can have no Sidecar; none where there will be one.
#[must_use]
pub fn obstacle(
    inventory: &Inventory,
    graph: &Graph,
    policy: &Policy,
    subject: &Subject,
) -> Option<Reason> {
    if policy.off {
        return Some(Reason::SwitchedOff);
    }
    let obstacle = match subject {
        Subject::Namespace(namespace) => of_namespace(inventory, policy, namespace),
        Subject::Workload(workload) => of_workload(inventory, graph, policy, workload),
    };
    let filter_seen = policy.filters.admit(subject.namespace());
    obstacle.or_else(|| (!filter_seen).then_some(Reason::NoFilterSeen))
}

fn of_namespace(inventory: &Inventory, policy: &Policy, namespace: &str) -> Option<Reason> {
    if inventory.mesh().root_namespace == namespace {
        return Some(Reason::Root);
    }
    if policy.namespace_mode(inventory, namespace) != Mode::Enforce {
        let asked = policy.labelled(inventory, namespace);
        return Some(not_enforced(inventory, policy, namespace, asked));
    }
    let owner = owner::user_sidecar_of_namespace(inventory, namespace);
    owner.map(Reason::UserManaged)
}

/// A workload that is not enforced has a Sidecar too where its namespace's default would scope it.
fn of_workload(
    inventory: &Inventory,
    graph: &Graph,
    policy: &Policy,
    workload: &Workload,
) -> Option<Reason> {
    let refused = if policy.mode(inventory, workload) == Mode::Enforce {
        let known = inventory.is_running(workload) || graph.dependencies(workload).next().is_some();
        (!known).then_some(Reason::NothingLearned)
    } else {
        let namespace = Subject::Namespace(workload.namespace.clone());
        let has_default = obstacle(inventory, graph, policy, &namespace).is_none();
        let asked = policy.asked(inventory, workload);
        (!has_default).then(|| not_enforced(inventory, policy, &workload.namespace, asked))
    };
    refused.or_else(|| {
        let owner = owner::user_sidecar_of(inventory, workload);
        owner.map(Reason::UserManaged)
    })
}

/// Why somebody is not enforced, for whom labels ask for this mode.
fn not_enforced(inventory: &Inventory, policy: &Policy, namespace: &str, asked: Mode) -> Reason {
    if asked == Mode::Off {
        return Reason::Off;
    }
    match (
        policy.revert(inventory, namespace),
        inventory.canary(namespace),
    ) {
        (Some(revert), _) if asked == Mode::Enforce => Reason::Reverted(revert.clone()),
        (None, Some(canary)) if asked == Mode::Enforce => Reason::Canary(canary.clone()),
        _ => Reason::LearnOnly,
    }
}
