//! One decision cache for all workers.

use lazymesh_filter::Metric;
use lazymesh_protocol::FilterConfig;

use crate::proxy::{Shared, State, Worker};
use crate::{DIRECT, EXTERNAL};

fn workers() -> (Worker, Worker) {
    let shared = Shared::default();
    let worker = || Worker::with(&FilterConfig::new("collector"), &shared);
    (worker(), worker())
}

fn learn(worker: &mut Worker, host: &str) {
    worker.get(host);
    worker.decide(EXTERNAL);
}

fn knows(worker: &mut Worker, host: &str) -> bool {
    let request = worker.get(host);
    worker.state(request) == State::GoneOn
}

#[test]
fn what_one_learns_the_others_know() {
    let (mut one, mut other) = workers();
    learn(&mut one, "a");
    assert!(knows(&mut other, "a"));
    assert_eq!(
        (
            other.metric(Metric::CacheHits),
            other.metric(Metric::Callouts)
        ),
        (1, 0)
    );
}

#[test]
fn both_write_and_nothing_is_lost() {
    let (mut one, mut other) = workers();
    for index in 0..50 {
        learn(&mut one, &format!("one{index}"));
        learn(&mut other, &format!("other{index}"));
    }
    one.pass(200);
    other.pass(200);
    for index in 0..50 {
        assert!(knows(&mut one, &format!("other{index}")), "{index}");
        assert!(knows(&mut other, &format!("one{index}")), "{index}");
    }
}

#[test]
fn a_burst_of_new_hosts_shares_a_write() {
    let mut worker = Worker::new();
    for index in 0..100 {
        learn(&mut worker, &format!("{index}"));
    }
    let writes = |worker: &Worker| worker.proxy.shared.borrow()["lazymesh.decisions.3"].1;
    assert_eq!(writes(&worker), 1);
    worker.pass(200);
    assert_eq!(writes(&worker), 2);
}

#[test]
fn an_unmoved_snapshot_is_not_read_again() {
    let (mut one, mut other) = workers();
    learn(&mut one, "a");
    knows(&mut other, "a");
    let before = *other.proxy.shared_reads.borrow();
    for _ in 0..10 {
        knows(&mut other, "a");
    }
    assert_eq!(
        *other.proxy.shared_reads.borrow(),
        before,
        "a hit reads nothing"
    );
    for index in 0..10 {
        knows(&mut other, &format!("unknown{index}"));
    }
    assert_eq!(
        *other.proxy.shared_reads.borrow(),
        before + 10,
        "a miss reads the revision only"
    );
}

#[test]
fn garbage_in_shared_data_is_written_over() {
    let (mut one, mut other) = workers();
    for key in ["lazymesh.decisions.3", "lazymesh.decisions.3.revision"] {
        one.proxy
            .shared
            .borrow_mut()
            .insert(key.to_owned(), (b"garbage!".to_vec(), 7));
    }
    learn(&mut one, "a");
    assert!(knows(&mut one, "a"));
    assert!(knows(&mut other, "a"));
}

#[test]
fn the_cache_is_bounded() {
    let config = FilterConfig {
        max_hosts: 10,
        ..FilterConfig::new("collector")
    };
    let mut worker = Worker::with(&config, &Shared::default());
    for index in 0..20 {
        worker.get(&index.to_string());
        worker.decide(DIRECT);
        worker.pass(10);
    }
    let known = (0..20)
        .filter(|index| knows(&mut worker, &index.to_string()))
        .count();
    assert_eq!(known, 10);
}
