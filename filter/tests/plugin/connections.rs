//! Connections that are not HTTP: decided if they go to an address of the mesh, else only counted.

use lazymesh_filter::{Action, Metric};
use lazymesh_protocol::{DIRECT_CLUSTER, FilterConfig, Protocol, Reports};

use crate::proxy::{Shared, State, Worker};
use crate::{DIRECT, EXTERNAL, HOLD};

const DATABASE: &str = "10.96.0.7:5432";
const OUTSIDE: &str = "192.0.2.1:443";
const TCP_PROXY_CLUSTER: &str = "envoy.tcp_proxy.cluster";

fn worker() -> Worker {
    let config = FilterConfig {
        mesh_prefixes: vec!["10.96.0.0/12".to_owned()],
        ..FilterConfig::new("collector")
    };
    Worker::with(&config, &Shared::default())
}

/// The cluster that was chosen for a connection which has gone on; `None`: the TCP proxy's own.
fn cluster(worker: &Worker, connection: u32) -> Option<String> {
    let state = worker.filter_state(connection);
    let mut clusters = state
        .into_iter()
        .filter(|(path, _)| path == TCP_PROXY_CLUSTER);
    clusters.next().map(|(_, cluster)| cluster)
}

#[test]
fn the_question_says_what_was_dialled() {
    let mut worker = worker();
    let connection = worker.dial(DATABASE, "");
    assert_eq!(worker.state(connection), State::Paused);
    let question = worker.call().question();
    assert_eq!(
        (
            question.authority,
            question.destination.as_deref(),
            question.protocol
        ),
        (None, Some(DATABASE), Protocol::Tcp)
    );
}

#[test]
fn and_the_server_s_name_where_a_listener_filter_has_seen_it() {
    let mut worker = worker();
    worker.dial(DATABASE, "DB.example");
    let question = worker.call().question();
    assert_eq!(
        (question.authority.as_deref(), question.protocol),
        (Some("db.example"), Protocol::Tls)
    );
}

#[test]
fn direct() {
    let mut worker = worker();
    let connection = worker.dial(DATABASE, "");
    worker.decide(DIRECT);
    let expect = [
        (
            "envoy.network.upstream_subject_alt_names",
            "spiffe://a,spiffe://b",
        ),
        ("envoy.network.upstream_server_name", "outbound_.80_._.a"),
        (TCP_PROXY_CLUSTER, "lazymesh-direct"),
    ];
    let expect = expect.map(|(path, value)| (path.to_owned(), value.to_owned()));
    assert_eq!(worker.filter_state(connection), expect);
    assert_eq!(worker.metric(Metric::Direct), 1);
}

#[test]
fn direct_is_not_followed_where_identities_cannot_be_checked() {
    let mut worker = worker();
    worker.proxy.filter_state_works = false;
    let connection = worker.dial(DATABASE, "");
    worker.decide(DIRECT);
    assert_eq!(cluster(&worker, connection), None);
    assert_eq!(worker.metric(Metric::Undecided), 1);
}

#[test]
fn hold() {
    let mut worker = worker();
    let connection = worker.dial(DATABASE, "");
    worker.decide(HOLD);
    worker.pass(200);
    assert_eq!(worker.state(connection), State::Paused);
    let name = "outbound|80||a.shop.svc.cluster.local";
    worker.proxy.clusters.insert(name.to_owned());
    worker.pass(5);
    assert_eq!(cluster(&worker, connection).as_deref(), Some(name));
    assert_eq!(worker.metric(Metric::Held), 0);
}

#[test]
fn what_waits_in_vain_goes_as_dialled() {
    for decision in [EXTERNAL, HOLD] {
        let mut worker = worker();
        let connection = worker.dial(DATABASE, "");
        worker.decide(decision);
        worker.pass(2_010);
        assert_eq!(cluster(&worker, connection), None, "{decision}");
    }
    let mut worker = worker();
    let connection = worker.dial(DATABASE, "");
    worker.pass(520);
    assert_eq!(cluster(&worker, connection), None, "no answer");
    worker.proxy.reachable = false;
    let connection = worker.dial(DATABASE, "");
    assert_eq!(cluster(&worker, connection), None, "no collector");
}

#[test]
fn bytes_wait_with_their_connection() {
    let mut worker = worker();
    let connection = worker.dial(DATABASE, "");
    assert_eq!(worker.bytes(connection, b"hello"), Action::Pause);
    worker.decide(HOLD);
    assert_eq!(worker.bytes(connection, b"hello"), Action::Pause);
    worker.pass(2_010);
    assert_eq!(worker.bytes(connection, b"hello"), Action::Continue);
    worker.pass(10_000);
    let reports: Reports = serde_json::from_slice(&worker.call().body).expect("reports");
    assert!(reports.reports.is_empty(), "not counted a second time");
    let told = reports.trouble.map(|it| (it.protocol, it.hold_timeouts));
    assert_eq!(told, Some((Protocol::Tcp, 1)));
}

#[test]
fn connections_to_one_address_share_a_callout_and_its_answer() {
    let mut worker = worker();
    let waiting: Vec<_> = (0..100).map(|_| worker.dial(DATABASE, "")).collect();
    worker.reset(waiting[0]);
    worker.decide(DIRECT);
    let later = worker.dial(DATABASE, "");
    for connection in waiting.into_iter().skip(1).chain([later]) {
        assert_eq!(
            cluster(&worker, connection).as_deref(),
            Some(DIRECT_CLUSTER)
        );
    }
    assert_eq!(
        (
            worker.metric(Metric::Callouts),
            worker.metric(Metric::CacheHits)
        ),
        (1, 1)
    );
}

#[test]
fn a_request_s_decision_is_none_for_a_connection() {
    let config = FilterConfig {
        mesh_prefixes: vec!["10.0.0.0/8".to_owned()],
        ..FilterConfig::new("collector")
    };
    let shared = Shared::default();
    let mut one = Worker::with(&config, &shared);
    one.send("allow_any", &[]);
    one.decide(DIRECT);
    let mut other = Worker::with(&config, &shared);
    let connection = other.dial("10.0.0.1:80", "");
    assert_eq!(other.state(connection), State::Paused);
    assert_eq!(other.call().question().protocol, Protocol::Tcp);
}

#[test]
fn what_is_not_the_mesh_s_never_waits() {
    let mut worker = worker();
    let connection = worker.dial(OUTSIDE, "");
    assert_eq!(cluster(&worker, connection), None);
    let mut worker = Worker::new();
    let connection = worker.dial(DATABASE, "");
    assert_eq!(cluster(&worker, connection), None, "no prefix is known");
    assert!(worker.proxy.calls.is_empty());
    assert_eq!(
        (
            worker.metric(Metric::Outside),
            worker.metric(Metric::Unresolved)
        ),
        (1, 0)
    );
}
