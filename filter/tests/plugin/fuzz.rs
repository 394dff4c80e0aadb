//! Any order of events: no panic, nobody left waiting, and gauges that come back to zero.

use lazymesh_filter::{Action, Metric};
use lazymesh_protocol::FilterConfig;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::proxy::{Shared, State, Worker};
use crate::{DIRECT, EXTERNAL, HOLD};

#[derive(Clone, Debug)]
enum Event {
    Request {
        host: u8,
        policy: bool,
    },
    Answer {
        call: usize,
        status: usize,
        body: usize,
    },
    Garbage {
        call: usize,
        body: Vec<u8>,
    },
    Lost {
        call: usize,
    },
    Reset {
        request: usize,
    },
    Pass {
        ms: u64,
    },
    Cluster {
        there: bool,
    },
    Reachable {
        it_is: bool,
    },
    SharedGarbage {
        bytes: Vec<u8>,
    },
    Connection {
        destination: usize,
        bytes: Vec<u8>,
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..6_u8, any::<bool>()).prop_map(|(host, policy)| Event::Request { host, policy }),
        6 => (any::<usize>(), 0..6_usize, 0..3_usize)
            .prop_map(|(call, status, body)| Event::Answer { call, status, body }),
        1 => (any::<usize>(), vec(any::<u8>(), 0..40)).prop_map(|(call, body)| Event::Garbage { call, body }),
        1 => any::<usize>().prop_map(|call| Event::Lost { call }),
        2 => any::<usize>().prop_map(|request| Event::Reset { request }),
        4 => (0..3_000_u64).prop_map(|ms| Event::Pass { ms }),
        1 => any::<bool>().prop_map(|there| Event::Cluster { there }),
        1 => any::<bool>().prop_map(|it_is| Event::Reachable { it_is }),
        1 => vec(any::<u8>(), 0..60).prop_map(|bytes| Event::SharedGarbage { bytes }),
        1 => (0..3_usize, vec(any::<u8>(), 0..60))
            .prop_map(|(destination, bytes)| Event::Connection { destination, bytes }),
    ]
}

fn happen(worker: &mut Worker, event: Event) {
    match event {
        Event::Request { host, policy } => {
            let policy = if policy { "allow_any" } else { "block_all" };
            worker.send(
                policy,
                &[
                    (":authority", &format!("host{host}")),
                    ("x-lazymesh-cluster", "stolen"),
                ],
            );
        }
        Event::Answer { call, status, body } => {
            let status = ["200", "200", "200", "500", "400", "504"][status];
            end(
                worker,
                call,
                Some((status, [EXTERNAL, HOLD, DIRECT][body].into())),
            );
        }
        Event::Garbage { call, body } => end(worker, call, Some(("200", body))),
        Event::Lost { call } => end(worker, call, None),
        Event::Reset { request } => {
            let requests: Vec<_> = worker.proxy.requests.keys().copied().collect();
            if !requests.is_empty() {
                worker.reset(requests[request % requests.len()]);
            }
        }
        Event::Pass { ms } => worker.pass(ms),
        Event::Cluster { there } => {
            let cluster = "outbound|80||a.shop.svc.cluster.local".to_owned();
            if there {
                worker.proxy.clusters.insert(cluster);
            } else {
                worker.proxy.clusters.remove(&cluster);
            }
        }
        Event::Reachable { it_is } => worker.proxy.reachable = it_is,
        Event::Connection { destination, bytes } => {
            let destination = ["10.0.0.1:80", "10.0.0.2:80", "192.0.2.1:80"][destination];
            let connection = worker.dial(destination, "");
            let action = worker.bytes(connection, &bytes);
            let paused = worker.state(connection) == State::Paused;
            assert_eq!(paused, action == Action::Pause);
        }
        Event::SharedGarbage { bytes } => {
            let mut shared = worker.proxy.shared.borrow_mut();
            for (key, bytes) in [
                ("lazymesh.decisions.3", bytes.as_slice()),
                ("lazymesh.decisions.3.revision", b"12345678"),
            ] {
                let version = shared.get(key).map_or(1, |(_, version)| version + 1);
                shared.insert(key.to_owned(), (bytes.to_vec(), version));
            }
        }
    }
}

fn end(worker: &mut Worker, call: usize, answer: Option<(&'static str, Vec<u8>)>) {
    if !worker.proxy.calls.is_empty() {
        let call = worker.proxy.calls.remove(call % worker.proxy.calls.len());
        worker.end(call.token, answer);
    }
}

proptest! {
    #[test]
    fn nobody_is_left_waiting(events in vec(event(), 0..200)) {
        let config = FilterConfig { max_paused: 20, max_callouts: 4, max_hosts: 3, mesh_prefixes: vec!["10.0.0.0/8".to_owned()], ..FilterConfig::new("collector") };
        let mut worker = Worker::with(&config, &Shared::default());
        for event in events {
            happen(&mut worker, event);
            let paused = worker.proxy.requests.values().filter(|request| request.state == State::Paused).count();
            prop_assert!(paused <= 20);
        }
        worker.pass(10_000);
        for request in worker.proxy.requests.values() {
            prop_assert_eq!(request.state, State::GoneOn);
            prop_assert_ne!(request.headers.get("x-lazymesh-cluster").map(String::as_str), Some("stolen"));
        }
        prop_assert_eq!(worker.metric(Metric::Held), 0);
        worker.shutdown();
        prop_assert_eq!(worker.metric(Metric::BreakersOpen), 0);
    }
}
