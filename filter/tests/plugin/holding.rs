//! Requests that wait for their cluster.

use lazymesh_filter::Metric;
use lazymesh_protocol::FilterConfig;

use crate::proxy::{Shared, State, Worker};
use crate::{HOLD, SPLIT};

const CLUSTER: &str = "outbound|80||a.shop.svc.cluster.local";

/// A worker with one held request.
fn held() -> (Worker, u32) {
    let mut worker = Worker::new();
    let request = worker.get("a");
    worker.decide(HOLD);
    assert_eq!(worker.state(request), State::Paused);
    (worker, request)
}

#[test]
fn until_the_cluster_comes() {
    let (mut worker, request) = held();
    worker.pass(200);
    assert_eq!(
        (worker.state(request), worker.metric(Metric::Held)),
        (State::Paused, 1)
    );
    worker.proxy.clusters.insert(CLUSTER.to_owned());
    worker.pass(5);
    assert_eq!(worker.cluster(request), Some(CLUSTER));
    assert_eq!(
        (worker.metric(Metric::Held), worker.metric(Metric::HoldTime)),
        (0, 1)
    );
    worker.pass(200);
    assert_eq!(worker.proxy.tick_ms, 0, "an idle tick costs CPU");
}

#[test]
fn not_at_all_when_the_cluster_is_there() {
    let mut worker = Worker::new();
    worker.proxy.clusters.insert(CLUSTER.to_owned());
    let request = worker.get("a");
    worker.decide(HOLD);
    assert_eq!(worker.cluster(request), Some(CLUSTER));
    for _ in 0..10 {
        let next = worker.get("a");
        assert_eq!(worker.cluster(next), Some(CLUSTER));
    }
    assert_eq!(
        worker.proxy.probes, 1,
        "probing a cluster in use disturbs it"
    );
}

#[test]
fn each_for_one_of_the_clusters_that_requests_are_split_over() {
    let mut worker = Worker::new();
    for name in ["green", "blue"] {
        worker.proxy.clusters.insert(format!("outbound|80||{name}"));
    }
    worker.get("a");
    worker.decide(SPLIT);
    let mut green = 0;
    for _ in 0..1_000 {
        let request = worker.get("a");
        match worker.cluster(request) {
            Some("outbound|80||green") => green += 1,
            other => assert_eq!(other, Some("outbound|80||blue")),
        }
    }
    // 300 are expected, with a standard deviation of 14.5.
    assert!((240..=360).contains(&green), "{green}");
}

#[test]
fn a_request_waits_for_its_own_cluster_of_several() {
    let mut worker = Worker::new();
    let first = worker.get("a");
    let requests: Vec<_> = (0..50).map(|_| worker.get("a")).chain([first]).collect();
    worker.decide(SPLIT);
    worker
        .proxy
        .clusters
        .insert("outbound|80||green".to_owned());
    worker.pass(5);
    let held = |worker: &Worker| {
        let of = |request: &&u32| worker.state(**request) == State::Paused;
        requests.iter().filter(of).count()
    };
    assert!((1..=50).contains(&held(&worker)), "{}", held(&worker));
    worker.proxy.clusters.insert("outbound|80||blue".to_owned());
    worker.pass(5);
    assert_eq!(held(&worker), 0);
}

#[test]
fn for_the_cluster_itself_where_no_weight_says_otherwise() {
    let (held, weightless) = SPLIT.split_once(r#""split""#).expect("it has one");
    let weightless = format!(
        r#"{held}"split"{}"#,
        weightless.replace("30", "0").replace("70", "0")
    );
    let mut worker = Worker::new();
    let request = worker.get("a");
    worker.decide(&weightless);
    worker.proxy.clusters.insert("outbound|80||blue".to_owned());
    worker.pass(5);
    assert_eq!(worker.cluster(request), Some("outbound|80||blue"));
}

#[test]
fn one_probe_serves_all_who_wait_for_it() {
    let (mut worker, _) = held();
    for _ in 0..9 {
        worker.get("a");
    }
    let before = worker.proxy.probes;
    worker.pass(5);
    assert_eq!(worker.proxy.probes, before + 1);
    assert_eq!(worker.metric(Metric::Held), 10);
}

#[test]
fn not_for_ever() {
    for (policy, cluster) in [
        ("allow_any", Some("PassthroughCluster")),
        ("block_all", None),
    ] {
        let mut worker = Worker::new();
        let request = worker.send(policy, &[(":authority", "a")]);
        worker.decide(HOLD);
        worker.pass(1_999);
        assert_eq!(worker.state(request), State::Paused);
        worker.pass(6);
        assert_eq!(worker.cluster(request), cluster, "{policy}");
        assert_eq!(
            (
                worker.metric(Metric::HoldTimeouts),
                worker.metric(Metric::Held)
            ),
            (1, 0)
        );
    }
}

#[test]
fn not_again_after_waiting_in_vain() {
    let (mut worker, _) = held();
    worker.pass(2_005);
    let next = worker.get("a");
    assert_eq!(worker.cluster(next), Some("PassthroughCluster"));
    worker.proxy.clusters.insert(CLUSTER.to_owned());
    let last = worker.get("a");
    assert_eq!(worker.cluster(last), Some(CLUSTER));
}

#[test]
fn not_longer_than_configured() {
    let config = FilterConfig {
        max_hold_ms: 50,
        ..FilterConfig::new("collector")
    };
    let mut worker = Worker::with(&config, &Shared::default());
    let request = worker.get("a");
    worker.decide(HOLD);
    worker.pass(55);
    assert_eq!(worker.state(request), State::GoneOn);
}

#[test]
fn a_client_that_goes_is_forgotten() {
    let (mut worker, request) = held();
    worker.reset(request);
    assert_eq!(worker.metric(Metric::Held), 0);
    worker.proxy.clusters.insert(CLUSTER.to_owned());
    worker.pass(200);
    assert_eq!(
        (worker.metric(Metric::HoldTime), worker.proxy.tick_ms),
        (0, 0)
    );
}
