//! The collector hears of a filter before any request has met it.

use lazymesh_protocol::{FilterConfig, Reports};

use crate::proxy::{Shared, Started, Worker};

fn started(heartbeat_interval_ms: u32) -> Worker {
    let config = FilterConfig {
        heartbeat_interval_ms,
        ..FilterConfig::new("collector")
    };
    let mut worker = Worker::with(&config, &Shared::default());
    worker.start();
    worker
}

fn says_only_who_it_is(call: &Started) -> bool {
    let reports: Reports = serde_json::from_slice(&call.body).expect("reports");
    call.path == "/v1/reports"
        && reports.source.workload == "productpage"
        && reports.reports.is_empty()
}

#[test]
fn it_is_told_at_once_and_again_and_again() {
    let mut worker = started(60_000);
    worker.pass(1_000);
    for _ in 0..3 {
        let call = worker.call();
        assert!(says_only_who_it_is(&call));
        worker.answer(&call, "200", "{}");
        worker.pass(59_000);
        assert!(worker.proxy.calls.is_empty());
        worker.pass(1_000);
    }
}

#[test]
fn until_the_collector_has_heard_it_it_is_told_sooner() {
    let mut worker = started(60_000);
    worker.pass(1_000);
    let call = worker.call();
    worker.answer(&call, "503", "");
    worker.pass(5_000);
    assert!(says_only_who_it_is(&worker.call()));
    // No answer at all.
    worker.pass(5_000);
    assert!(says_only_who_it_is(&worker.call()));
}

#[test]
fn a_collector_that_fails_is_told_as_often_as_one_that_works() {
    let mut worker = started(20_000);
    worker.pass(1_000);
    let call = worker.call();
    worker.answer(&call, "200", "{}");
    for host in ["a", "b", "c"] {
        worker.get(host);
        let call = worker.call();
        worker.answer(&call, "503", "");
    }
    worker.pass(20_000);
    for _ in 0..3 {
        let call = worker.call();
        assert!(says_only_who_it_is(&call));
        worker.answer(&call, "503", "");
        worker.pass(19_000);
        assert!(worker.proxy.calls.is_empty());
        worker.pass(1_000);
    }
}

#[test]
fn it_can_be_turned_off() {
    let mut worker = started(0);
    worker.pass(1_000_000);
    assert!(worker.proxy.calls.is_empty());
    assert_eq!(worker.proxy.tick_ms, 0);
}
