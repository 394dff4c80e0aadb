use lazymesh_protocol::{Decision, PassthroughReason};

use crate::graph::Graph;
use crate::inventory::Inventory;
use crate::names::EgressHost;
use crate::question::Question;

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

/// Answer to a question, and what it taught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the sidecar does with the request.
    pub decision: Decision,
    /// What the graph is to remember.
    pub learned: Learned,
}

/// Decides what happens to one unresolved request. Records nothing.
#[must_use]
pub fn decide(_inventory: &Inventory, _graph: &Graph, _question: &Question) -> Outcome {
    Outcome {
        decision: Decision::Passthrough {
            reason: PassthroughReason::External,
        },
        learned: Learned::Nothing,
    }
}
