//! What leaves a scope, since nobody has seen it for long: what holds whatever was seen, then what single labels and witnesses do.

use std::time::Duration;

use lazymesh_core::{
    Dependency, EgressHost, Expiry, Graph, Inventory, Limits, Mesh, Object, Origin, Policy, Seen,
    Sightings, TTL_LABEL, Ttl, Witness, Workload, expired,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const TTL_MS: u64 = 1_000_000;
/// The time to live with the most that jitter adds.
const AT_LAST_MS: u64 = TTL_MS / 4 * 5;

/// One dependency of `shop/web`.
#[derive(Clone, Debug)]
struct Known {
    last_seen_ms: u64,
    /// For how long it was watched since; none where only filters have seen it.
    silence_ms: Option<u64>,
    pinned: bool,
    tcp: bool,
}

fn known() -> impl Strategy<Value = Known> {
    let silence = prop::option::of(0..3 * TTL_MS);
    (0..3 * TTL_MS, silence, any::<bool>(), any::<bool>()).prop_map(
        |(last_seen_ms, silence_ms, pinned, tcp)| Known {
            last_seen_ms,
            silence_ms,
            pinned,
            tcp,
        },
    )
}

fn web() -> Workload {
    Workload::new("shop", "web").expect("a name")
}

fn host(n: usize) -> EgressHost {
    let host = format!("shop/s{n}.shop.svc.cluster.local");
    host.parse().expect("a host")
}

fn graph(all: &[Known]) -> Graph {
    let mut graph = Graph::new(Limits::default());
    for (n, known) in all.iter().enumerate() {
        let witness = match known.silence_ms {
            Some(_) => Witness::AccessLog,
            None => Witness::Filter,
        };
        let last_ms = known.last_seen_ms;
        let seen = Seen {
            first_ms: 0,
            last_ms,
        };
        let mut one = Graph::new(Limits::default());
        one.insert(Dependency {
            source: web(),
            host: host(n),
            first_seen_ms: 0,
            last_seen_ms: last_ms,
            count: 1,
            origin: match known.pinned {
                true => Origin::Pinned,
                false => Origin::Learned,
            },
            sightings: Sightings::of(witness, seen),
        });
        one.watched(&web(), known.silence_ms.unwrap_or_default(), 1, u64::MAX);
        one.iter().for_each(|known| graph.insert(known.clone()));
    }
    graph
}

fn inventory(all: &[Known], namespace: Value, pod: Value) -> Inventory {
    let service = |(n, known): (usize, &Known)| {
        let port = match known.tcp {
            true => json!({"name": "tcp", "port": 5432}),
            false => json!({"name": "http", "port": 80}),
        };
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": format!("s{n}"), "namespace": "shop"},
            "spec": {"clusterIP": format!("10.96.0.{n}"), "ports": [port]},
        })
    };
    let mut labels = json!({"service.istio.io/canonical-name": "web"});
    merge(&mut labels, pod);
    let mut of_namespace = json!({"lazymesh.io/mode": "enforce"});
    merge(&mut of_namespace, namespace);
    let own = [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": of_namespace}}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-1", "namespace": "shop", "labels": labels}}),
    ];
    let mut inventory = Inventory::new(Mesh::default());
    for value in own.into_iter().chain(all.iter().enumerate().map(service)) {
        let object = Object::from_value(value).expect("well-formed");
        inventory.apply(object.expect("a kind that is read"));
    }
    inventory
}

fn merge(labels: &mut Value, more: Value) {
    let (Value::Object(labels), Value::Object(more)) = (labels, more) else {
        return;
    };
    labels.extend(more);
}

fn policy(percent_a_day: u8) -> Policy {
    let expiry = Expiry {
        ttl: Ttl::After(Duration::from_millis(TTL_MS)),
        percent_a_day,
    };
    Policy {
        expiry,
        ..Policy::default()
    }
}

proptest! {
    #[test]
    fn only_what_was_silent_for_long_leaves_and_no_more_than_its_share(
        all in prop::collection::vec(known(), 0..40),
        percent in 0..=100u8,
        today in 0..10usize,
        now_ms in 0..6 * TTL_MS,
    ) {
        let (inventory, graph) = (inventory(&all, json!({}), json!({})), graph(&all));
        let left = expired(&inventory, &graph, &policy(percent), &web(), today, now_ms);
        let most = ((all.len() + today) * usize::from(percent) / 100).max(1);
        prop_assert!(left.len() <= most.saturating_sub(today));
        let is_watched = all.iter().any(|known| known.silence_ms.is_some());
        let silence = |known: &Known| match is_watched {
            true => known.silence_ms.unwrap_or_default(),
            false => now_ms.saturating_sub(known.last_seen_ms),
        };
        for (n, known) in all.iter().enumerate().filter(|(n, _)| left.contains(&host(*n))) {
            prop_assert!(!known.pinned && !known.tcp, "{n}: {known:?}");
            prop_assert!(silence(known) >= TTL_MS, "{n}: {known:?}");
        }
        if percent == 100 && today == 0 {
            let due = |known: &Known| !known.pinned && !known.tcp && silence(known) >= AT_LAST_MS;
            for n in all.iter().enumerate().filter(|(_, known)| due(known)).map(|(n, _)| n) {
                prop_assert!(left.contains(&host(n)), "{n} stays");
            }
        }
    }

    #[test]
    fn a_source_that_is_down_lets_nothing_leave(
        all in prop::collection::vec(known(), 1..20),
        watched in known(),
        down_ms in 0..u64::MAX / 2,
    ) {
        let mut all = all;
        all.push(Known { silence_ms: Some(0), ..watched });
        let (inventory, graph) = (inventory(&all, json!({}), json!({})), graph(&all));
        let left = |now_ms| expired(&inventory, &graph, &policy(100), &web(), 0, now_ms);
        prop_assert_eq!(left(3 * TTL_MS), left(3 * TTL_MS + down_ms));
    }
}

/// Ten hosts that were last met at 0, by filters: how many leave then.
fn leaving(namespace: Value, pod: Value, default: Ttl, now_ms: u64) -> usize {
    let old = Known {
        last_seen_ms: 0,
        silence_ms: None,
        pinned: false,
        tcp: false,
    };
    let all = vec![old; 10];
    let mut policy = policy(100);
    policy.expiry.ttl = default;
    let (inventory, graph) = (inventory(&all, namespace, pod), graph(&all));
    expired(&inventory, &graph, &policy, &web(), 0, now_ms).len()
}

#[track_caller]
fn check(namespace: Value, pod: Value, default: Ttl, now_ms: u64, expect: usize) {
    assert_eq!(leaving(namespace, pod, default, now_ms), expect);
}

#[test]
fn labels_say_for_how_long() {
    let ttl = |ttl: &str| json!({ TTL_LABEL: ttl });
    let (none, day) = (json!({}), 86_400_000);
    let after = Ttl::After(Duration::from_secs(3_600));
    check(none.clone(), none.clone(), Ttl::Never, 9 * day, 0);
    check(none.clone(), none.clone(), after, day, 10);
    check(ttl("1d"), none.clone(), Ttl::Never, day - 1, 0);
    check(ttl("1d"), none.clone(), Ttl::Never, 2 * day, 10);
    check(ttl("off"), none.clone(), after, day, 0);
    check(none.clone(), ttl("off"), after, day, 0);
    check(ttl("9d"), ttl("1d"), after, 2 * day, 10);
    check(ttl("sometimes"), none, after, day, 10);
}

#[test]
fn what_no_filter_could_meet_again_stays() {
    let after = Ttl::After(Duration::from_secs(3_600));
    let mode = |mode: &str| json!({ "lazymesh.io/mode": mode });
    check(mode("learn"), json!({}), after, 86_400_000, 0);
    check(mode("off"), json!({}), after, 86_400_000, 0);
    check(json!({}), mode("learn"), after, 86_400_000, 0);
}

#[test]
fn what_was_learned_at_once_does_not_leave_at_once() {
    let after = Ttl::After(Duration::from_millis(TTL_MS));
    let leaving = |now_ms| leaving(json!({}), json!({}), after, now_ms);
    assert_eq!(leaving(TTL_MS - 1), 0);
    assert!((1..10).contains(&leaving(TTL_MS + TTL_MS / 8)));
    assert_eq!(leaving(AT_LAST_MS), 10);
}
