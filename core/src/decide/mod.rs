//! From one question to one answer.
//!
//! `target` finds who is meant, `direct` says whether the request can go at once, `cluster` which clusters to
//! wait for otherwise. What Istio itself would send in plain text stays plain.

mod cluster;
mod direct;
mod ground;
mod route_match;

use lazymesh_protocol::{Decision, MAX_SHARES, PassthroughReason, Protocol, Share};

pub use self::ground::{Ground, NotDirect};
use crate::graph::{Graph, Learned};
use crate::inventory::{Inventory, MeshService, Port};
use crate::names::{EgressHost, Workload};
use crate::resolve::{self, Question, Target};
use crate::resource::Mode;
use crate::scope::{self, Policy};

/// How long a request waits for its cluster: istiod needs 130-220 ms, and ten times that when it is busy.
const HOLD_TIMEOUT_MS: u32 = 2_000;

/// Answer to a question, and what it taught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the sidecar does with the request.
    pub decision: Decision,
    /// What the graph is to remember.
    pub learned: Learned,
}

/// Decides what happens to one unresolved request. Records nothing.
///
/// The source's [`Mode`] counts only for what is learned: where nothing is enforced the sidecar has the whole
/// mesh, so that a held request finds its cluster at once. A person's own Sidecar does count.
#[must_use]
pub fn decide(
    inventory: &Inventory,
    graph: &Graph,
    policy: &Policy,
    question: &Question,
) -> Outcome {
    let target = resolve::resolve(inventory, question);
    weigh(inventory, graph, policy, question, &target).0
}

/// As [`decide`], with the ground for it.
pub(crate) fn weigh(
    inventory: &Inventory,
    graph: &Graph,
    policy: &Policy,
    question: &Question,
    target: &Target<'_>,
) -> (Outcome, Ground) {
    let mode = policy.mode(inventory, &question.source);
    match admitted(graph, mode, &question.source, learn(target)) {
        None => (limit(), Ground::Limit),
        Some(learned) => {
            let (decision, ground) = answer(inventory, question, target);
            (Outcome { decision, learned }, ground)
        }
    }
}

/// Says what a call teaches that has reached this host. Records nothing.
#[must_use]
pub fn observe(
    inventory: &Inventory,
    graph: &Graph,
    policy: &Policy,
    source: &Workload,
    host: &EgressHost,
) -> Outcome {
    let mode = policy.mode(inventory, source);
    match admitted(graph, mode, source, Learned::Host(host.clone())) {
        None => limit(),
        Some(learned) => Outcome {
            decision: passthrough(PassthroughReason::Plain),
            learned,
        },
    }
}

/// What may be learned; `None` where there is no room for it.
fn admitted(graph: &Graph, mode: Mode, source: &Workload, learned: Learned) -> Option<Learned> {
    let learned = match mode {
        Mode::Off => Learned::Nothing,
        Mode::Learn | Mode::Enforce => learned,
    };
    graph.admits(source, &learned, mode).then_some(learned)
}

fn limit() -> Outcome {
    Outcome {
        decision: passthrough(PassthroughReason::Limit),
        learned: Learned::Nothing,
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

fn answer(inventory: &Inventory, question: &Question, target: &Target<'_>) -> (Decision, Ground) {
    if let Target::External(_) = target {
        return (passthrough(PassthroughReason::External), Ground::Outside);
    }
    let found = in_mesh(inventory, question, target);
    found.unwrap_or_else(|ground| (passthrough(PassthroughReason::Plain), ground))
}

/// What is done with a request of the mesh, or why it goes as the application sent it.
fn in_mesh(
    inventory: &Inventory,
    question: &Question,
    target: &Target<'_>,
) -> Result<(Decision, Ground), Ground> {
    // A person decided what this workload may see. To hold would be to wait for a cluster that never comes,
    // and direct would lead around what that person closed.
    if let Some(sidecar) = scope::user_sidecar_of(inventory, &question.source) {
        return Err(Ground::UserManaged(sidecar));
    }
    match target {
        Target::Service {
            service,
            routable: true,
        } => to_service(inventory, question, service),
        // Where Istio has no route, a request goes as the application sent it.
        Target::Service { .. } => Err(Ground::Unroutable),
        Target::Route { route, .. } => {
            hold(cluster::of_route(inventory, question, route), Ground::Route)
        }
        Target::Pod | Target::External(_) => Err(Ground::Pod),
    }
}

fn to_service(
    inventory: &Inventory,
    question: &Question,
    service: &MeshService,
) -> Result<(Decision, Ground), Ground> {
    let client = &question.source.namespace;
    let named = service;
    let service = resolve::concrete(inventory, named, client).ok_or(Ground::Alias)?;
    // An ExternalName's own VirtualService rules its name, whatever it stands for.
    let own_route = inventory.routes.covering(named.key(), client).next();
    if let Some(route) = own_route.filter(|_| named.egress != service.egress) {
        port_of(question, named).ok_or(Ground::Port)?;
        return hold(cluster::of_route(inventory, question, route), Ground::Route);
    }
    let port = port_of(question, service).ok_or(Ground::Port)?;
    if question.protocol != Protocol::Http && port.protocol.is_http() {
        // Where HTTP is declared, Istio passes anything else through.
        return Err(Ground::NotHttp);
    }
    match direct::decide(inventory, question, service, port) {
        Ok(direct) => Ok((direct, Ground::Direct)),
        Err(why) => {
            let shares = cluster::of_service(inventory, question, service, port);
            hold(shares, Ground::NotDirect(why))
        }
    }
}

/// The service's port that a request goes to: the one that was dialled. Istio ignores the port of an authority
/// too (`ignore_port_in_host_matching`); it counts only where nothing says what was dialled.
fn port_of<'a>(question: &Question, service: &'a MeshService) -> Option<&'a Port> {
    let number = resolve::port(question)?;
    service.ports.iter().find(|port| port.number == number)
}

/// To wait for these, where there is one.
fn hold(mut shares: Vec<Share>, ground: Ground) -> Result<(Decision, Ground), Ground> {
    // `max_by_key` would take the last of equals.
    let heaviest = shares.iter().rev().max_by_key(|share| share.weight);
    let heaviest = heaviest.ok_or(Ground::NoCluster)?;
    let cluster = heaviest.cluster.clone();
    shares.retain(|share| share.weight > 0);
    let is_split = (2..=MAX_SHARES).contains(&shares.len());
    let hold = Decision::Hold {
        cluster,
        split: if is_split { shares } else { Vec::new() },
        timeout_ms: HOLD_TIMEOUT_MS,
    };
    Ok((hold, ground))
}

fn passthrough(reason: PassthroughReason) -> Decision {
    Decision::Passthrough { reason }
}

#[cfg(test)]
mod tests {
    use lazymesh_protocol::{MAX_SUBJECT_ALT_NAMES, Source};
    use serde_json::{Value, json};

    use super::*;
    use crate::graph::{Dependency, Limits, Origin, Sightings};
    use crate::resource::Mesh;
    use crate::resource::Object;

    fn inventory(objects: impl IntoIterator<Item = Value>) -> Inventory {
        let mut inventory = Inventory::new(Mesh::default());
        for object in objects {
            let object = Object::from_value(object).expect("well-formed");
            inventory.apply(object.expect("a kind that is read"));
        }
        inventory
    }

    fn service() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "shop"},
            "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80}]},
        })
    }

    /// A service with as many pods, each with an account of its own.
    fn backed(pods: usize) -> Vec<Value> {
        let endpoint =
            |n| json!({"addresses": [], "targetRef": {"kind": "Pod", "name": format!("a{n}")}});
        let pod = |n| {
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": format!("a{n}"), "namespace": "shop",
                    "labels": {"security.istio.io/tlsMode": "istio"}},
                "spec": {"serviceAccountName": format!("a{n}")},
            })
        };
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "a", "namespace": "shop", "labels": {"kubernetes.io/service-name": "a"}},
            "endpoints": (0..pods).map(endpoint).collect::<Vec<_>>(),
        });
        (0..pods).map(pod).chain([service(), slice]).collect()
    }

    fn ask(authority: &str) -> Question {
        let source = Source {
            namespace: "shop".into(),
            workload: "cart".into(),
            cluster: None,
            service_account: None,
        };
        let destination = Some("10.96.0.1:80").filter(|_| authority == "a");
        Question::new(&source, Some(authority), destination, Protocol::Http).expect("well-formed")
    }

    #[test]
    fn too_many_identities_are_held() {
        let check = |pods: usize, direct: bool| {
            let outcome = decide(
                &inventory(backed(pods)),
                &Graph::new(Limits::default()),
                &Policy::default(),
                &ask("a"),
            );
            assert_eq!(
                matches!(outcome.decision, Decision::Direct { .. }),
                direct,
                "{pods}"
            );
        };
        check(MAX_SUBJECT_ALT_NAMES, true);
        check(MAX_SUBJECT_ALT_NAMES + 1, false);
    }

    #[test]
    fn what_is_held_is_split_by_weight() {
        let shares = |weights: &[u32]| {
            let share = |(n, weight): (usize, &u32)| Share {
                cluster: format!("outbound|80||{n}"),
                weight: *weight,
            };
            weights.iter().enumerate().map(share).collect::<Vec<_>>()
        };
        let check = |weights: &[u32], heaviest: &str, split: &[u32]| {
            let Ok((
                Decision::Hold {
                    cluster,
                    split: found,
                    ..
                },
                _,
            )) = hold(shares(weights), Ground::Route)
            else {
                panic!("{weights:?} are not held");
            };
            assert_eq!(cluster, format!("outbound|80||{heaviest}"), "{weights:?}");
            let found: Vec<_> = found.iter().map(|share| share.weight).collect();
            assert_eq!(found, split, "{weights:?}");
        };
        check(&[0], "0", &[]);
        check(&[100], "0", &[]);
        check(&[50, 50], "0", &[50, 50]);
        check(&[10, 0, 90], "2", &[10, 90]);
        check(&[0, 100], "1", &[]);
        let most = [1; MAX_SHARES];
        check(&most, "0", &most);
        check(&[1; MAX_SHARES + 1], "0", &[]);
        assert_eq!(hold(Vec::new(), Ground::Route), Err(Ground::NoCluster));
    }

    #[test]
    fn without_room_only_what_is_known_is_answered() {
        let inventory = inventory([service()]);
        let limits = Limits {
            workloads: 1,
            dependencies_per_workload: 1,
            externals_per_workload: 0,
            externals: 0,
            ..Limits::default()
        };
        let mut graph = Graph::new(limits);
        let check = |graph: &Graph, authority: &str, reason: Option<PassthroughReason>| {
            let policy = Policy::default();
            let outcome = decide(&inventory, graph, &policy, &ask(authority));
            let found = match outcome.decision {
                Decision::Passthrough { reason } => Some(reason),
                _ => None,
            };
            assert_eq!(found, reason, "{authority}");
            assert_eq!(
                outcome.learned == Learned::Nothing,
                reason.is_some(),
                "{authority}"
            );
        };
        check(&graph, "a", None);
        graph.insert(Dependency {
            source: ask("a").source,
            host: EgressHost {
                namespace: "shop".into(),
                host: "a.shop.svc.cluster.local".into(),
            },
            first_seen_ms: 1,
            last_seen_ms: 1,
            count: 1,
            origin: Origin::Learned,
            sightings: Sightings::default(),
        });
        check(&graph, "a", None);
        check(&graph, "example.org", Some(PassthroughReason::Limit));
    }
}
