//! The collector down, slow or wrong.

use lazymesh_filter::Metric;
use lazymesh_protocol::DIRECT_CLUSTER;

use crate::proxy::{State, Worker};
use crate::{DIRECT, EXTERNAL};

/// Fails one callout with this answer.
fn fail(worker: &mut Worker, host: &str, status: &'static str, body: &str) {
    let request = worker.get(host);
    let call = worker.call();
    worker.answer(&call, status, body);
    assert_eq!(
        worker.cluster(request),
        Some("PassthroughCluster"),
        "{status} {body}"
    );
}

fn asks(worker: &mut Worker, host: &str) -> bool {
    let request = worker.get(host);
    worker.state(request) == State::Paused
}

#[test]
fn whatever_is_no_answer_is_a_failure() {
    let large = " ".repeat(17_000);
    let no_san = r#"{"decision":"direct","subject_alt_names":[],"server_name":"s","ttl_ms":1}"#;
    let answers = [
        ("500", ""),
        ("503", DIRECT),
        ("504", ""),
        ("301", ""),
        ("200", ""),
        ("200", "garbage"),
        ("200", no_san),
    ];
    for (status, body) in answers.into_iter().chain([("200", large.as_str())]) {
        let mut worker = Worker::new();
        for host in ["a", "b", "c"] {
            fail(&mut worker, host, status, body);
        }
        assert!(!asks(&mut worker, "d"), "{status} {body}");
        assert_eq!(
            (
                worker.metric(Metric::BreakersOpen),
                worker.metric(Metric::CalloutFailures)
            ),
            (1, 3)
        );
    }
}

#[test]
fn a_broken_connection_is_a_failure() {
    let mut worker = Worker::new();
    let request = worker.get("a");
    let call = worker.call();
    worker.end(call.token, None);
    assert_eq!(worker.cluster(request), Some("PassthroughCluster"));
}

#[test]
fn a_collector_that_cannot_be_called_is_a_failure() {
    let mut worker = Worker::new();
    worker.proxy.reachable = false;
    for host in ["a", "b", "c", "d"] {
        assert!(!asks(&mut worker, host));
    }
    assert_eq!(
        (
            worker.metric(Metric::Callouts),
            worker.metric(Metric::BreakersOpen)
        ),
        (3, 1)
    );
}

#[test]
fn a_host_that_forgets_the_time_out_is_not_trusted() {
    let mut worker = Worker::new();
    let request = worker.get("a");
    let call = worker.call();
    worker.pass(519);
    assert_eq!(worker.state(request), State::Paused);
    worker.pass(1);
    assert_eq!(worker.cluster(request), Some("PassthroughCluster"));
    worker.answer(&call, "200", DIRECT);
    assert_eq!(worker.metric(Metric::CalloutFailures), 1);
    worker.pass(10_000);
    let report = worker.call();
    worker.answer(&report, "200", "{}");
    worker.pass(10_000);
    assert_eq!(worker.proxy.tick_ms, 0, "nothing is due");
}

#[test]
fn the_breaker_lets_one_through_and_closes_on_an_answer() {
    let mut worker = Worker::new();
    for host in ["a", "b", "c"] {
        fail(&mut worker, host, "500", "");
    }
    assert!(!asks(&mut worker, "d"));
    worker.pass(1_000);
    assert!(asks(&mut worker, "e"));
    assert!(!asks(&mut worker, "f"), "one at a time");
    worker.decide(EXTERNAL);
    assert_eq!(worker.metric(Metric::BreakersOpen), 0);
    assert!(asks(&mut worker, "g") && asks(&mut worker, "h"));
}

#[test]
fn an_expired_decision_is_better_than_none() {
    let mut worker = Worker::new();
    worker.get("known");
    worker.decide(DIRECT);
    worker.pass(60_000);
    let request = worker.get("known");
    let call = worker.call();
    worker.answer(&call, "500", "");
    assert_eq!(worker.cluster(request), Some(DIRECT_CLUSTER));

    worker.proxy.reachable = false;
    let request = worker.get("known");
    assert_eq!(worker.cluster(request), Some(DIRECT_CLUSTER));
}

#[test]
fn known_hosts_need_no_collector() {
    let mut worker = Worker::new();
    worker.get("known");
    worker.decide(DIRECT);
    for host in ["a", "b", "c"] {
        fail(&mut worker, host, "500", "");
    }
    let request = worker.get("known");
    assert_eq!(worker.cluster(request), Some(DIRECT_CLUSTER));
}

#[test]
fn a_refused_question_is_no_failure_and_is_not_repeated() {
    let mut worker = Worker::new();
    for host in ["a", "b", "c", "d"] {
        fail(&mut worker, host, "400", "{}");
    }
    assert_eq!(worker.metric(Metric::BreakersOpen), 0);
    assert!(!asks(&mut worker, "a"));
    assert!(asks(&mut worker, "e"));
}

#[test]
fn calls_that_nobody_started_are_ignored() {
    let mut worker = Worker::new();
    worker.end(4_711, Some(("200", DIRECT.into())));
    assert!(worker.proxy.metrics.is_empty());
}

#[test]
fn nobody_is_left_waiting_when_the_plugin_goes() {
    let mut worker = Worker::new();
    worker.get("held");
    worker.decide(crate::HOLD);
    worker.get("a");
    for host in ["x", "y", "z"] {
        worker.proxy.calls.clear();
        fail(&mut worker, host, "500", "");
    }
    worker.shutdown();
    assert!(
        worker
            .proxy
            .requests
            .values()
            .all(|request| request.state == State::GoneOn)
    );
    assert_eq!(
        (
            worker.metric(Metric::Held),
            worker.metric(Metric::BreakersOpen)
        ),
        (0, 0)
    );
}
