//! Plans what lazymesh may publish for a workload, whatever it has learned so far.

use std::collections::BTreeSet;

use lazymesh_core::{
    Dependency, EgressHost, Graph, Inventory, Learned, Limits, Origin, Plan, Policy, Reason,
    Sightings, Subject, Visibility, decide,
};
use serde_json::Value;

use super::mesh::Mesh;

/// Namespace of lazymesh itself.
pub(super) const HOME: &str = "lazymesh-system";
/// Most scopes of one mesh.
const MOST: usize = 12;

/// A scope, and what it came from.
pub(super) struct Scope {
    pub(super) learned: BTreeSet<EgressHost>,
    /// The Sidecar that rules the workload; `None` where lazymesh has none.
    pub(super) sidecar: Option<Value>,
}

/// The scopes after nothing, each host alone, every other one, and everything that the calls teach.
pub(super) fn possible(inventory: &Inventory, mesh: &Mesh) -> Vec<Scope> {
    let before: BTreeSet<_> = mesh.learned.iter().cloned().collect();
    let taught = taught(inventory, mesh);
    let mut learned = vec![before.clone()];
    let singles = taught.iter().filter(|host| !before.contains(host));
    learned.extend(singles.take(MOST).map(|host| with(&before, [host])));
    learned.extend([0, 1].map(|first| with(&before, taught.iter().skip(first).step_by(2))));
    learned.push(with(&before, &taught));
    let mut scopes: Vec<Scope> = Vec::new();
    for hosts in learned {
        let scope = plan(inventory, mesh, hosts);
        if scope.sidecar.is_some() && scopes.iter().all(|other| other.sidecar != scope.sidecar) {
            scopes.push(scope);
        }
    }
    scopes
}

fn with<'a>(
    hosts: &'a BTreeSet<EgressHost>,
    more: impl IntoIterator<Item = &'a EgressHost>,
) -> BTreeSet<EgressHost> {
    hosts.iter().chain(more).cloned().collect()
}

/// What the workload's calls teach, in their order.
fn taught(inventory: &Inventory, mesh: &Mesh) -> Vec<EgressHost> {
    let graph = Graph::new(Limits::default());
    let mut taught = Vec::new();
    let questions = mesh
        .calls
        .iter()
        .filter_map(|call| call.question(&mesh.caller, call.speaks));
    for question in questions {
        if let Learned::Host(host) =
            decide(inventory, &graph, &Policy::default(), &question).learned
            && !taught.contains(&host)
        {
            taught.push(host);
        }
    }
    taught
}

fn plan(inventory: &Inventory, mesh: &Mesh, learned: BTreeSet<EgressHost>) -> Scope {
    let mut graph = Graph::new(Limits::default());
    for host in &learned {
        graph.insert(Dependency {
            source: mesh.caller.clone(),
            host: host.clone(),
            first_seen_ms: 1,
            last_seen_ms: 1,
            count: 1,
            origin: Origin::Learned,
            sightings: Sightings::default(),
        });
    }
    let domain = &mesh.settings.cluster_domain;
    let own = ["lazymesh-collector", "lazymesh-ports"].map(|service| EgressHost {
        namespace: HOME.to_owned(),
        host: format!("{service}.{HOME}.svc.{domain}"),
    });
    let policy = Policy {
        visibility: Visibility {
            always: own.into(),
            ..Visibility::default()
        },
        ..Policy::default()
    };
    let workload = Subject::Workload(mesh.caller.clone());
    let namespace = Subject::Namespace(mesh.caller.namespace.clone());
    let sidecar = match lazymesh_core::plan(inventory, &graph, &policy, &workload) {
        Plan::None(Reason::UserManaged(owner)) => Plan::None(Reason::UserManaged(owner)),
        Plan::None(_) => lazymesh_core::plan(inventory, &graph, &policy, &namespace),
        publish @ Plan::Publish(_) => publish,
    };
    Scope {
        learned,
        sidecar: match sidecar {
            Plan::Publish(spec) => Some(spec.manifest()),
            Plan::None(_) => None,
        },
    }
}

impl Scope {
    /// For a person.
    pub(super) fn describe(&self) -> String {
        let hosts = self.learned.iter().map(ToString::to_string);
        format!("learned: [{}]", hosts.collect::<Vec<_>>().join(", "))
    }
}
