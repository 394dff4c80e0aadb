//! Says why somebody has no Sidecar of lazymesh's.

use std::fmt;

use super::owner;
use super::policy::Policy;
use crate::graph::Graph;
use crate::inventory::{Inventory, Subject};
use crate::names::Workload;
use crate::resource::{Mode, ObjectKey};

/// Why somebody has no Sidecar of lazymesh's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// All of lazymesh is switched off.
    SwitchedOff,
    /// Its mode is `off`.
    Off,
    /// Its mode is `learn`.
    LearnOnly,
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
    let mode = policy.namespace_mode(inventory, namespace);
    not_enforced(mode).or_else(|| {
        let owner = owner::user_sidecar_of_namespace(inventory, namespace);
        owner.map(Reason::UserManaged)
    })
}

/// A workload that is not enforced has a Sidecar too where its namespace's default would scope it.
fn of_workload(
    inventory: &Inventory,
    graph: &Graph,
    policy: &Policy,
    workload: &Workload,
) -> Option<Reason> {
    let refused = match not_enforced(policy.mode(inventory, workload)) {
        Some(reason) => {
            let namespace = Subject::Namespace(workload.namespace.clone());
            obstacle(inventory, graph, policy, &namespace).map(|_| reason)
        }
        None => {
            let known =
                inventory.is_running(workload) || graph.dependencies(workload).next().is_some();
            (!known).then_some(Reason::NothingLearned)
        }
    };
    refused.or_else(|| {
        let owner = owner::user_sidecar_of(inventory, workload);
        owner.map(Reason::UserManaged)
    })
}

fn not_enforced(mode: Mode) -> Option<Reason> {
    match mode {
        Mode::Enforce => None,
        Mode::Learn => Some(Reason::LearnOnly),
        Mode::Off => Some(Reason::Off),
    }
}
