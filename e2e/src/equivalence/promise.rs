//! Judges a scope and core's decisions by what istiod does: P1, P2 and P3 of docs/equivalence.md.

use std::cell::RefCell;
use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use lazymesh_core::{Graph, Inventory, Limits, Policy, decide};
use lazymesh_protocol::{Decision, Share};

use super::call::{Call, Speaks};
use super::difference::{Difference, Kind};
use super::mesh::Mesh;
use super::scope::Scope;
use super::wire::{Answer, Full, FullKind, Scoped, Target, Verdict};

/// Every difference, scope by scope, call by call.
pub(super) fn check(
    inventory: &Inventory,
    mesh: &Mesh,
    scopes: &[Scope],
    answer: &Answer,
) -> Result<Vec<Difference>> {
    ensure!(
        answer.full.len() == mesh.calls.len() && answer.lazy.len() == scopes.len(),
        "expected {} calls in {} scopes, got {} in {}",
        mesh.calls.len(),
        scopes.len(),
        answer.full.len(),
        answer.lazy.len(),
    );
    let filter = Filter::new(inventory, mesh);
    let judged = scopes.iter().zip(&answer.lazy);
    Ok(judged
        .flat_map(|(scope, scoped)| in_scope(&filter, scope, scoped, &answer.full))
        .collect())
}

/// What the filter does with calls of a mesh that a catch-all takes.
struct Filter<'a> {
    inventory: &'a Inventory,
    mesh: &'a Mesh,
    /// Whether a call goes to where the mesh is.
    in_mesh: Vec<bool>,
    /// What it does with those that it was asked about: the same in each scope, as there is room to learn.
    decided: RefCell<BTreeMap<(usize, Speaks), Option<Decision>>>,
}

impl<'a> Filter<'a> {
    fn new(inventory: &'a Inventory, mesh: &'a Mesh) -> Self {
        let prefixes = inventory.mesh_prefixes();
        let is_mesh = |call: &Call| {
            let address = call.destination.ip();
            prefixes.iter().any(|prefix| prefix.contains(&address))
        };
        Self {
            inventory,
            mesh,
            in_mesh: mesh.calls.iter().map(is_mesh).collect(),
            decided: RefCell::default(),
        }
    }

    /// None where it asks nothing: about an authority that it cannot read, nor about connections to where the mesh is not.
    fn decides(&self, number: usize, speaks: Speaks) -> Option<Decision> {
        let mut decided = self.decided.borrow_mut();
        let decide = || self.decide(number, speaks);
        decided
            .entry((number, speaks))
            .or_insert_with(decide)
            .clone()
    }

    fn decide(&self, number: usize, speaks: Speaks) -> Option<Decision> {
        let is_asked = speaks == Speaks::Http || self.in_mesh.get(number) == Some(&true);
        let call = self.mesh.calls.get(number).filter(|_| is_asked)?;
        let question = call.question(&self.mesh.caller, speaks)?;
        let graph = Graph::new(Limits::default());
        Some(decide(self.inventory, &graph, &Policy::default(), &question).decision)
    }
}

fn in_scope(filter: &Filter<'_>, scope: &Scope, scoped: &Scoped, full: &[Full]) -> Vec<Difference> {
    let own = scoped.own.iter().map(|cluster| Difference {
        kind: Kind::OwnCallee,
        of: cluster.clone(),
        detail: format!("{cluster}; {}", scope.describe()),
    });
    let mesh = filter.mesh;
    let calls = mesh.calls.iter().zip(full).zip(&scoped.verdicts);
    let called = calls
        .enumerate()
        .filter_map(|(number, ((call, full), verdict))| {
            let (kind, detail) = match verdict.asks {
                Some(speaks) => {
                    let decision = filter.decides(number, speaks);
                    let kind = decided(mesh, call, full, decision.as_ref())?;
                    let kind = if verdict.anchored {
                        Kind::PortAnchor
                    } else {
                        kind
                    };
                    (kind, format!("{decision:?}"))
                }
                None => routed(call, full, verdict)?,
            };
            Some(Difference {
                kind,
                of: format!("{}:{}", call.name(), call.destination.port()),
                detail: format!(
                    "{call}: {detail}; full: {}; {}",
                    full.describe(),
                    scope.describe()
                ),
            })
        });
    own.chain(called).collect()
}

/// P1: what the scope routes itself.
fn routed(call: &Call, full: &Full, verdict: &Verdict) -> Option<(Kind, String)> {
    let any = |part: &str| verdict.differs.iter().any(|differs| differs.contains(part));
    let kind = if verdict.differs.is_empty() {
        return None;
    } else if verdict.anchored || (verdict.shared && is_passed(full)) {
        // What no listener of the full scope takes meets one of all addresses that only the anchor can have brought.
        Kind::PortAnchor
    } else if verdict.shared && call.is_elsewhere {
        Kind::OtherAddress
    } else if any("expected ") {
        Kind::OtherOutcome
    } else if any("routes") {
        Kind::OtherRoutes
    } else if any("clusters") || any(" is ") {
        Kind::OtherClusters
    } else {
        Kind::OtherEndpoints
    };
    Some((kind, verdict.differs.join(", ")))
}

/// P2: what the scope leaves to the filter.
fn decided(mesh: &Mesh, call: &Call, full: &Full, decision: Option<&Decision>) -> Option<Kind> {
    match decision {
        None | Some(Decision::Passthrough { .. }) => passed(mesh, full),
        Some(Decision::Direct {
            subject_alt_names,
            server_name,
        }) => direct(call, full, subject_alt_names, server_name),
        Some(Decision::Hold { cluster, split, .. }) => held(full, &shares(cluster, split)),
    }
}

fn passed(mesh: &Mesh, full: &Full) -> Option<Kind> {
    match full.kind {
        FullKind::Passed | FullKind::Closed => None,
        FullKind::Connected if full.dialled && !mesh.registry_only => None,
        FullKind::Refused => Some(Kind::PassthroughWhereRefused),
        FullKind::Routed if full.clusters.iter().all(|target| !target.known) => {
            Some(Kind::PassthroughWhereLost)
        }
        FullKind::Routed | FullKind::Answered | FullKind::Connected => {
            Some(Kind::PassthroughWhereRouted)
        }
    }
}

fn is_passed(full: &Full) -> bool {
    matches!(full.kind, FullKind::Passed | FullKind::Closed)
}

fn direct(call: &Call, full: &Full, identities: &[String], server_name: &str) -> Option<Kind> {
    let Some(plain) = &full.plain else {
        return Some(if is_passed(full) {
            Kind::DirectWherePassed
        } else {
            Kind::DirectPastRules
        });
    };
    let dialled = call.destination;
    let holds =
        |list: &Option<Vec<String>>, text: String| list.iter().flatten().any(|one| *one == text);
    let is_there = holds(&plain.addresses, dialled.ip().to_string())
        || holds(&plain.endpoints, dialled.to_string());
    // A machine that a Service selects is an endpoint of it to Istio alone: the address leads to pods.
    let is_known = |identity| plain.identities.contains(identity);
    if !is_there || plain.server_name != server_name {
        Some(Kind::DirectElsewhere)
    } else if !plain.mutual {
        Some(Kind::DirectToPlainText)
    } else if !plain.identities.is_empty() && !identities.iter().all(is_known) {
        Some(Kind::DirectToOtherIdentities)
    } else {
        None
    }
}

fn held(full: &Full, shares: &[(String, u64)]) -> Option<Kind> {
    let targets = &full.clusters;
    let is_sent = matches!(full.kind, FullKind::Routed | FullKind::Connected);
    if is_sent && same_split(shares, targets) {
        let mut sent_to = targets.iter().filter(|target| target.weight > 0);
        return match sent_to.all(|target| target.known) {
            true => full.shaped.then_some(Kind::HoldPastRules),
            false => Some(Kind::HoldForever),
        };
    }
    Some(match full.kind {
        FullKind::Routed | FullKind::Connected => Kind::HoldElsewhere,
        FullKind::Answered => Kind::HoldPastAnswer,
        FullKind::Passed | FullKind::Closed => Kind::HoldWherePassed,
        FullKind::Refused => Kind::HoldWhereRefused,
    })
}

fn shares(cluster: &str, split: &[Share]) -> Vec<(String, u64)> {
    if split.is_empty() {
        return vec![(cluster.to_owned(), 1)];
    }
    let share = |share: &Share| (share.cluster.clone(), u64::from(share.weight));
    split.iter().map(share).collect()
}

/// Whether two splits send the same parts of all requests to the same clusters.
fn same_split(ours: &[(String, u64)], theirs: &[Target]) -> bool {
    let theirs: Vec<_> = theirs
        .iter()
        .map(|target| (target.cluster.clone(), u64::from(target.weight)))
        .collect();
    let part = |split: &[(String, u64)], cluster: &str| {
        let weights = split.iter().filter(|(name, _)| name == cluster);
        weights.map(|(_, weight)| weight).sum::<u64>()
    };
    let all = |split: &[(String, u64)]| split.iter().map(|(_, weight)| weight).sum::<u64>();
    let clusters = ours.iter().chain(&theirs).map(|(cluster, _)| cluster);
    let (our_all, their_all) = (all(ours), all(&theirs));
    clusters
        .into_iter()
        .all(|cluster| part(ours, cluster) * their_all == part(&theirs, cluster) * our_all)
}
