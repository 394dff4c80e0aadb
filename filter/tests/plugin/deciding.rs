//! One request, one question, one decision.

use lazymesh_filter::Metric;
use lazymesh_protocol::{DIRECT_CLUSTER, FilterConfig, Protocol};

use crate::proxy::{Shared, State, Worker};
use crate::{DIRECT, EXTERNAL};

#[test]
fn resolved_requests_are_left_alone() {
    let mut worker = Worker::new();
    let request = worker.send(
        "reviews",
        &[(":authority", "reviews"), ("x-lazymesh-cluster", "own")],
    );
    assert_eq!(worker.state(request), State::GoneOn);
    assert_eq!(worker.request(request).headers["x-lazymesh-cluster"], "own");
    assert!(worker.proxy.metrics.is_empty() && worker.proxy.tick_ms == 0);
}

#[test]
fn the_question_says_who_asks_for_what() {
    let mut worker = Worker::new();
    let request = worker.get("Reviews.shop:80");
    assert_eq!(worker.state(request), State::Paused);
    let question = worker.call().question();
    assert_eq!(question.source.namespace, "shop");
    assert_eq!(question.source.workload, "productpage");
    assert_eq!(question.source.service_account.as_deref(), Some("bookinfo"));
    assert_eq!(question.authority.as_deref(), Some("reviews.shop:80"));
    assert_eq!(question.destination.as_deref(), Some("10.0.0.1:80"));
    assert_eq!(question.protocol, Protocol::Http);
}

#[test]
fn older_envoys_have_other_names_and_some_pods_no_label() {
    let mut worker = Worker::new();
    worker.proxy.old_names = true;
    worker
        .proxy
        .metadata
        .remove(&vec!["LABELS", "service.istio.io/canonical-name"]);
    worker.get("a");
    assert_eq!(worker.call().question().source.workload, "productpage-v1");

    let mut worker = Worker::new();
    let metadata = &mut worker.proxy.metadata;
    metadata.remove(&vec!["LABELS", "service.istio.io/canonical-name"]);
    metadata.insert(vec!["LABELS", "app"], "web");
    worker.get("a");
    assert_eq!(worker.call().question().source.workload, "web");
}

#[test]
fn direct() {
    let mut worker = Worker::new();
    let request = worker.get("a");
    worker.decide(DIRECT);
    assert_eq!(worker.cluster(request), Some("lazymesh-direct"));
    let state = &worker.request(request).filter_state;
    assert!(
        state[0]
            .ends_with(b"envoy.network.upstream_subject_alt_names\x12\x15spiffe://a,spiffe://b")
    );
    assert!(state[1].ends_with(b"envoy.network.upstream_server_name\x12\x11outbound_.80_._.a"));
}

#[test]
fn direct_is_held_where_identities_cannot_be_checked() {
    let mut worker = Worker::new();
    worker.proxy.filter_state_works = false;
    let request = worker.get("a");
    worker.decide(DIRECT);
    assert_eq!(worker.state(request), State::Paused);
    worker.proxy.clusters.insert("outbound|80||a".to_owned());
    worker.pass(5);
    assert_eq!(worker.cluster(request), Some("outbound|80||a"));
    assert_eq!(
        (worker.metric(Metric::Direct), worker.metric(Metric::Hold)),
        (0, 1)
    );
}

#[test]
fn direct_under_both_policies() {
    for policy in ["allow_any", "block_all"] {
        let mut worker = Worker::new();
        let request = worker.send(policy, &[(":authority", "a")]);
        worker.decide(DIRECT);
        assert_eq!(worker.cluster(request), Some(DIRECT_CLUSTER), "{policy}");
    }
}

#[test]
fn passthrough_follows_the_policy() {
    for (policy, cluster) in [
        ("allow_any", Some("PassthroughCluster")),
        ("block_all", None),
    ] {
        let mut worker = Worker::new();
        let request = worker.send(policy, &[(":authority", "a")]);
        worker.decide(EXTERNAL);
        assert_eq!(worker.cluster(request), cluster, "{policy}");
    }
}

#[test]
fn what_a_client_puts_into_the_header_is_ignored() {
    let mut worker = Worker::new();
    let request = worker.send(
        "block_all",
        &[(":authority", "a"), ("x-lazymesh-cluster", "secret")],
    );
    worker.decide(EXTERNAL);
    assert_eq!(worker.cluster(request), None);
    assert!(
        worker.request(request).route_cleared,
        "the header may have chosen a route"
    );
}

#[test]
fn a_decision_is_used_for_as_long_as_it_lives() {
    let mut worker = Worker::new();
    worker.get("a");
    worker.decide(DIRECT);
    let second = worker.get("A");
    assert_eq!(worker.cluster(second), Some(DIRECT_CLUSTER));
    assert_eq!(worker.metric(Metric::CacheHits), 1);
    worker.pass(5_000);
    worker.proxy.calls.clear();
    let third = worker.get("a");
    assert_eq!(worker.state(third), State::Paused);
    worker.call();
}

#[test]
fn waiters_share_one_callout_and_outlive_its_leader() {
    let mut worker = Worker::new();
    let waiters: Vec<_> = (0..1_000).map(|_| worker.get("a")).collect();
    worker.reset(waiters[0]);
    worker.reset(waiters[500]);
    worker.decide(DIRECT);
    for waiter in waiters {
        if worker.proxy.requests.contains_key(&waiter) {
            assert_eq!(worker.cluster(waiter), Some(DIRECT_CLUSTER));
        }
    }
    assert_eq!(
        (
            worker.metric(Metric::Callouts),
            worker.metric(Metric::Direct)
        ),
        (1, 998)
    );
}

#[test]
fn an_answer_nobody_waits_for_is_still_learned() {
    let mut worker = Worker::new();
    let request = worker.get("a");
    worker.reset(request);
    worker.decide(DIRECT);
    let next = worker.get("a");
    assert_eq!(worker.cluster(next), Some(DIRECT_CLUSTER));
}

#[test]
fn what_can_be_no_host_is_not_asked_about() {
    let long = "a".repeat(261);
    for authority in ["a b", "é", "a\u{7f}", long.as_str()] {
        let mut worker = Worker::new();
        let request = worker.get(authority);
        assert_eq!(
            worker.cluster(request),
            Some("PassthroughCluster"),
            "{authority}"
        );
        assert!(worker.proxy.calls.is_empty());
    }
}

#[test]
fn without_a_host_the_destination_is_asked_about() {
    let mut worker = Worker::new();
    worker.send("allow_any", &[]);
    let question = worker.call().question();
    assert_eq!(
        (question.authority, question.destination.as_deref()),
        (None, Some("10.0.0.1:80"))
    );
}

#[test]
fn bounds() {
    let config = FilterConfig {
        max_paused: 3,
        max_callouts: 2,
        ..FilterConfig::new("collector")
    };
    let mut worker = Worker::with(&config, &Shared::default());
    for (host, state) in [
        ("a", State::Paused),
        ("b", State::Paused),
        ("c", State::GoneOn),
        ("a", State::Paused),
        ("a", State::GoneOn),
    ] {
        let request = worker.get(host);
        assert_eq!(worker.state(request), state, "{host}");
    }
    assert_eq!(worker.proxy.calls.len(), 2);
}

#[test]
fn a_proxy_that_does_not_know_itself_asks_nothing() {
    let mut worker = Worker::new();
    worker.proxy.metadata.clear();
    let request = worker.get("a");
    assert_eq!(worker.cluster(request), Some("PassthroughCluster"));
}

#[test]
fn a_question_belongs_to_the_trace_of_its_request() {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let check = |header: &str, expect: Option<&str>| {
        let mut worker = Worker::new();
        let headers = [(":authority", "a"), ("traceparent", header)];
        worker.send("allow_any", &headers);
        assert_eq!(worker.call().trace.as_deref(), expect, "{header}");
    };
    check(TRACE, Some(TRACE));
    for header in [
        "",
        "00",
        &TRACE[1..],
        &format!("{TRACE}0"),
        &TRACE.replace('f', "\n"),
    ] {
        check(header, None);
    }
    let mut worker = Worker::new();
    worker.get("a");
    assert_eq!(worker.call().trace, None);
}
