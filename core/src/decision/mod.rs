//! From one question to one answer.
//!
//! `target` finds who is meant, `direct` says whether the request can go at once, `cluster` which cluster to
//! wait for otherwise. What Istio itself would send in plain text stays plain.

mod cluster;
mod direct;
mod target;

use lazymesh_protocol::{Decision, PassthroughReason};

use crate::graph::Graph;
use crate::inventory::{Inventory, MeshService, Port};
use crate::names::EgressHost;
use crate::question::Question;
use crate::sidecar;

use self::target::Target;

pub(crate) use self::target::concrete;

/// How long a request waits for its cluster: istiod needs 130-220 ms, and ten times that when it is busy.
const HOLD_TIMEOUT_MS: u32 = 2_000;

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
pub fn decide(inventory: &Inventory, graph: &Graph, question: &Question) -> Outcome {
    let target = target::find(inventory, question);
    let learned = learn(&target);
    if !graph.admits(&question.source, &learned) {
        return Outcome {
            decision: passthrough(PassthroughReason::Limit),
            learned: Learned::Nothing,
        };
    }
    Outcome {
        decision: answer(inventory, question, &target),
        learned,
    }
}

fn learn(target: &Target<'_>) -> Learned {
    match target {
        Target::Service { service, .. } => Learned::Host(service.egress.clone()),
        Target::Route { egress, .. } => Learned::Host(egress.clone()),
        Target::Pod => Learned::Nothing,
        Target::External(host) => Learned::External(host.clone()),
    }
}

fn answer(inventory: &Inventory, question: &Question, target: &Target<'_>) -> Decision {
    let decision = match target {
        Target::External(_) => return passthrough(PassthroughReason::External),
        // A person decided what this workload may see. To hold would be to wait for a cluster that never comes,
        // and direct would lead around what that person closed.
        _ if sidecar::user_sidecar_of(inventory, &question.source).is_some() => None,
        Target::Pod => None,
        Target::Route { route, .. } => cluster::of_route(inventory, question, route).map(hold),
        Target::Service { service, routable } => {
            to_service(inventory, question, service, *routable)
        }
    };
    decision.unwrap_or(passthrough(PassthroughReason::Plain))
}

fn to_service(
    inventory: &Inventory,
    question: &Question,
    service: &MeshService,
    routable: bool,
) -> Option<Decision> {
    let client = &question.source.namespace;
    let named = service;
    let service = target::concrete(inventory, named, client)?;
    // An ExternalName's own VirtualService rules its name, whatever it stands for.
    let own_route = inventory.routes.covering(named.key(), client).next();
    if let Some(route) = own_route.filter(|_| named.egress != service.egress) {
        let cluster = routable.then(|| cluster::of_route(inventory, question, route));
        return cluster.flatten().map(hold);
    }
    let port = port_of(inventory, question, service)?;
    let direct = direct::decide(inventory, question, service, port);
    direct.or_else(|| {
        let cluster = routable.then(|| cluster::of_service(inventory, question, service, port));
        cluster.flatten().map(hold)
    })
}

/// The service's port that a request goes to: the one that was dialled. Istio ignores the port of an authority
/// too (`ignore_port_in_host_matching`); it counts only where nothing says what was dialled.
fn port_of<'a>(
    inventory: &Inventory,
    question: &Question,
    service: &'a MeshService,
) -> Option<&'a Port> {
    let number = target::port(question)?;
    let own = service.ports.iter().find(|port| port.number == number);
    own.or_else(|| direct::headless_port(inventory, question, service))
}

fn hold(cluster: String) -> Decision {
    Decision::Hold {
        cluster,
        timeout_ms: HOLD_TIMEOUT_MS,
    }
}

fn passthrough(reason: PassthroughReason) -> Decision {
    Decision::Passthrough { reason }
}
