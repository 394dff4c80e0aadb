//! Explains what lazymesh knows of one call, and what it does with it.
//!
//! Nothing is found out anew here: who is meant says `resolve`, what happens says `decide`, and what is in scope says
//! `scope`, each with its reason.

mod dial;

use std::fmt;
use std::net::SocketAddr;

use lazymesh_protocol::Protocol;

use crate::decide::{Ground, Outcome, weigh};
use crate::graph::Graph;
use crate::inventory::{Inventory, MeshService, Route};
use crate::names::{Authority, EgressHost, Workload};
use crate::resolve::{Question, Target, resolve};
use crate::resource::{Kind, ObjectKey};
use crate::scope::{Policy, Standing, standing};

/// A call that an application might make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Who calls.
    pub source: Workload,
    /// Whom.
    pub authority: Authority,
    /// What the sidecar takes it for; what the host's port is declared to be where nothing is said.
    pub protocol: Option<Protocol>,
    /// What is dialled; the host's own address where nothing is said.
    pub destination: Option<SocketAddr>,
}

/// What lazymesh knows of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What a sidecar would ask that does not know the host.
    pub question: Question,
    /// Who is meant.
    pub meant: Meant,
    /// Whether the workload has it in scope.
    pub standing: Standing,
    /// What would be answered, and learned.
    pub outcome: Outcome,
    /// Why that would be answered.
    pub ground: Ground,
}

/// Who is meant by a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meant {
    /// A host of the mesh.
    Host {
        /// As a Sidecar names it.
        host: EgressHost,
        /// The object that it is of.
        object: ObjectKey,
    },
    /// A pod, on a port that no service has.
    Pod,
    /// A host outside the mesh, as it is recorded.
    Outside(String),
}

impl Meant {
    /// As a Sidecar names it, if one can.
    #[must_use]
    pub fn host(&self) -> Option<&EgressHost> {
        match self {
            Self::Host { host, .. } => Some(host),
            Self::Pod | Self::Outside(_) => None,
        }
    }
}

impl fmt::Display for Meant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { host, object } => write!(out, "{host} of {object}"),
            Self::Pod => out.write_str("a pod, by its address"),
            Self::Outside(host) => write!(out, "{host}, which is outside the mesh"),
        }
    }
}

/// Explains a call.
#[must_use]
pub fn explain(inventory: &Inventory, graph: &Graph, policy: &Policy, call: &Call) -> Explanation {
    let question = dial::question(inventory, call);
    let target = resolve(inventory, &question);
    let (outcome, ground) = weigh(inventory, graph, policy, &question, &target);
    let meant = meant(target);
    let standing = match meant.host() {
        Some(host) => standing(inventory, graph, policy, &call.source, host),
        None => Standing::Absent,
    };
    Explanation {
        question,
        meant,
        standing,
        outcome,
        ground,
    }
}

fn meant(target: Target<'_>) -> Meant {
    match target {
        Target::Service { service, .. } => Meant::Host {
            host: service.egress.clone(),
            object: object_of(service),
        },
        Target::Route { route, egress } => Meant::Host {
            host: egress,
            object: object_of_route(route),
        },
        Target::Pod => Meant::Pod,
        Target::External(host) => Meant::Outside(host),
    }
}

fn object_of(service: &MeshService) -> ObjectKey {
    let kind = match service.is_kubernetes() {
        true => Kind::Service,
        false => Kind::ServiceEntry,
    };
    ObjectKey::new(kind, service.namespace(), &*service.name)
}

fn object_of_route(route: &Route) -> ObjectKey {
    ObjectKey::new(Kind::VirtualService, &*route.namespace, &*route.name)
}
