//! Counts of what the cache answered.

use lazymesh_filter::Action;
use lazymesh_protocol::{Protocol, Report, Reports, Trouble};

use crate::proxy::{Started, Worker};
use crate::{EXTERNAL, HOLD};

/// A ClientHello for `A.example`, with nothing in it that the protocol does not ask for.
const HELLO: &[u8] = b"\x16\x03\x01\0\x41\x01\0\0\x3d\x03\x0301234567890123456789012345678901\0\0\x02\x13\x01\x01\0\0\x12\0\0\0\x0e\0\x0c\0\0\x09A.example";

/// A worker that knows host `a` and has used its decision so often.
fn used(times: usize) -> Worker {
    let mut worker = Worker::new();
    worker.get("a");
    worker.decide(EXTERNAL);
    for _ in 0..times {
        worker.get("a");
    }
    worker
}

fn counts(call: &Started) -> Vec<(Option<String>, u64)> {
    assert_eq!(call.path, "/v1/reports");
    let reports: Reports = serde_json::from_slice(&call.body).expect("reports");
    assert_eq!(reports.source.workload, "productpage");
    reports
        .reports
        .into_iter()
        .map(|report| (report.authority, report.count))
        .collect()
}

#[test]
fn hits_are_counted_and_reported_once() {
    let mut worker = used(3);
    worker.pass(10_000);
    let call = worker.call();
    assert_eq!(counts(&call), [(Some("a".to_owned()), 3)]);
    worker.answer(&call, "200", r#"{"accepted":1}"#);
    worker.pass(100_000);
    assert!(worker.proxy.calls.is_empty());
    assert_eq!(worker.proxy.tick_ms, 0, "nothing to report, no tick");
}

#[test]
fn connections_are_counted_by_the_name_of_the_server_where_they_tell_one() {
    let mut worker = Worker::new();
    for data in [HELLO, HELLO, b"SSH-2.0-OpenSSH_9.9\r\n", &[]] {
        let connection = worker.dial("192.0.2.1:443", "");
        assert_eq!(worker.bytes(connection, data), Action::Continue);
    }
    worker.pass(10_000);
    let call = worker.call();
    let reports: Reports = serde_json::from_slice(&call.body).expect("reports");
    let destination = Some("192.0.2.1:443".to_owned());
    let report = |authority: Option<&str>, protocol, count| Report {
        authority: authority.map(str::to_owned),
        destination: destination.clone(),
        protocol,
        count,
    };
    assert_eq!(
        reports.reports,
        [
            report(None, Protocol::Tcp, 2),
            report(Some("a.example"), Protocol::Tls, 2)
        ]
    );
}

#[test]
fn what_the_collector_did_not_take_is_reported_again() {
    let mut worker = used(3);
    worker.pass(10_000);
    let call = worker.call();
    worker.get("a");
    worker.answer(&call, "503", "");
    worker.pass(10_000);
    assert_eq!(counts(&worker.call()), [(Some("a".to_owned()), 4)]);
}

#[test]
fn a_failing_collector_is_left_in_peace() {
    let mut worker = used(1);
    for host in ["x", "y", "z"] {
        worker.get(host);
        let call = worker.call();
        worker.answer(&call, "500", "");
    }
    worker.pass(15_000);
    assert!(worker.proxy.calls.is_empty());
}

fn trouble(call: &Started) -> Option<Trouble> {
    let reports: Reports = serde_json::from_slice(&call.body).expect("reports");
    reports.trouble
}

#[test]
fn what_went_wrong_is_reported_until_the_collector_has_it() {
    let mut worker = Worker::new();
    worker.get("a");
    let call = worker.call();
    worker.answer(&call, "500", "");
    worker.get("b");
    worker.decide(HOLD);
    let told = Some(Trouble {
        protocol: Protocol::Http,
        hold_timeouts: 1,
        callout_failures: 1,
    });
    for status in ["503", "200"] {
        worker.pass(10_000);
        let call = worker.call();
        assert_eq!(trouble(&call), told);
        worker.answer(&call, status, "{}");
    }
    worker.pass(100_000);
    assert!(worker.proxy.calls.is_empty());
}

#[test]
fn what_the_collector_refuses_is_no_trouble() {
    let mut worker = Worker::new();
    worker.get("a");
    let call = worker.call();
    worker.answer(&call, "400", "");
    worker.pass(100_000);
    assert!(worker.proxy.calls.is_empty());
}
