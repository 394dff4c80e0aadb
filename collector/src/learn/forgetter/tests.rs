use lazymesh_core::{Dependency, Graph, Inventory, Limits, Mesh, Object, Policy, Sightings};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::spans::Spans;
use crate::store::SledStore;

const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// Namespace `shop`, where `web` may have pods, and what was learned.
struct Shop {
    forgetter: Forgetter,
    start: Instant,
    _dir: TempDir,
}

impl Shop {
    fn new(workloads: usize, learned: &[&str], running: &[&str]) -> Self {
        let mut inventory = Inventory::new(Mesh::default());
        for name in running {
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "namespace": "shop", "name": name,
                    "labels": {"service.istio.io/canonical-name": name},
                },
            });
            inventory.apply(Object::from_value(pod).expect("valid").expect("read"));
        }
        let mut graph = Graph::new(Limits {
            workloads,
            ..Limits::default()
        });
        for name in learned {
            graph.insert(Dependency {
                source: Workload::new("shop", *name).expect("a name"),
                host: "shop/a".parse().expect("a host"),
                first_seen_ms: 1,
                last_seen_ms: 1,
                count: 1,
                sightings: Sightings::default(),
                origin: match *name {
                    "pinned" => Origin::Pinned,
                    _ => Origin::Learned,
                },
            });
        }
        let policy = Policy::default();
        let view = Arc::new(SharedView::new(View {
            inventory,
            graph,
            policy,
        }));
        let dir = tempfile::tempdir().expect("a directory");
        let store = Arc::new(SledStore::open(dir.path()).expect("a store"));
        let (metrics, readiness) = (Arc::new(Metrics::new()), Arc::new(Readiness::new()));
        readiness.store_loaded();
        readiness.inventory(Ok(()));
        let recorder = Recorder::new(
            store,
            Arc::clone(&metrics),
            Arc::clone(&readiness),
            Spans::default(),
        );
        Self {
            forgetter: Forgetter::new(view, Arc::new(recorder), metrics, readiness),
            start: Instant::now(),
            _dir: dir,
        }
    }

    /// Who is to be forgotten after so long.
    fn check(&self, after: Duration, expect: &[&str]) {
        let found = self.forgetter.expired(self.start + after, WEEK);
        let found: Vec<&str> = found.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(found, expect, "after {after:?}");
    }
}

#[test]
fn who_has_been_gone_for_long_is_forgotten() {
    let shop = Shop::new(100, &["gone", "pinned", "web"], &["web"]);
    shop.check(Duration::ZERO, &[]);
    shop.check(WEEK - SOON, &[]);
    shop.check(WEEK, &["gone"]);
}

#[test]
fn where_there_is_no_room_it_is_only_not_the_time_of_a_restart() {
    let shop = Shop::new(4, &["gone", "web"], &["web"]);
    shop.check(Duration::ZERO, &[]);
    shop.check(RESTART - SOON, &[]);
    shop.check(RESTART, &["gone"]);
}

#[test]
fn who_comes_back_begins_anew() {
    let shop = Shop::new(100, &["gone"], &["web"]);
    shop.check(Duration::ZERO, &[]);
    let pod = |phase: &str| {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "namespace": "shop", "name": "again",
                "labels": {"service.istio.io/canonical-name": "gone"},
            },
            "status": {"phase": phase},
        });
        let pod = Object::from_value(pod).expect("valid").expect("read");
        shop.forgetter.view.change(|view| view.inventory.apply(pod));
    };
    pod("Running");
    shop.check(WEEK, &[]);
    pod("Succeeded");
    shop.check(WEEK + SOON, &[]);
    shop.check(2 * WEEK + SOON, &["gone"]);
}

/// Directories often have no pods, and what cannot be read may have any.
#[test]
fn who_is_gone_must_be_known() {
    let shop = Shop::new(100, &["gone"], &[]);
    shop.check(Duration::ZERO, &[]);
    shop.check(2 * WEEK, &[]);

    let shop = Shop::new(100, &["gone"], &["web"]);
    shop.check(Duration::ZERO, &[]);
    shop.forgetter.readiness.unusable(Some("a file".to_owned()));
    shop.check(2 * WEEK, &[]);
}
