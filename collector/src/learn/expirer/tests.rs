use lazymesh_core::{
    Dependency, Expiry, Graph, Inventory, Limits, Mesh, Object, Origin, Policy, Seen, Sightings,
    Witness,
};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::spans::Spans;
use crate::state::View;
use crate::store::{SledStore, Store};

const HOUR_MS: u64 = 3_600_000;
/// An hour with the most that jitter adds.
const DUE_MS: u64 = HOUR_MS / 4 * 5;

/// `shop/web`, which is lazy and has learned ten hosts at 0; they stay for an hour.
struct Shop {
    expirer: Expirer,
    start: Instant,
    store: Arc<SledStore>,
    _dir: TempDir,
}

impl Shop {
    async fn new(witness: Witness, percent_a_day: u8) -> Self {
        let mut inventory = Inventory::new(Mesh::default());
        for object in [
            json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": "shop", "labels": {"lazymesh.io/mode": "enforce"}},
            }),
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "namespace": "shop", "name": "web-1",
                    "labels": {"service.istio.io/canonical-name": "web"},
                },
            }),
        ] {
            inventory.apply(Object::from_value(object).expect("valid").expect("read"));
        }
        let dir = tempfile::tempdir().expect("a directory");
        let store = Arc::new(SledStore::open(dir.path()).expect("a store"));
        let mut graph = Graph::new(Limits::default());
        for n in 0..10 {
            let known = dependency(n, witness);
            graph.insert(known.clone());
            let written = store.commit(vec![Change::Dependency(known)]).await;
            written.expect("written");
        }
        let expiry = Expiry {
            ttl: Ttl::After(Duration::from_millis(HOUR_MS)),
            percent_a_day,
        };
        let policy = Policy {
            expiry,
            ..Policy::default()
        };
        let view = Arc::new(SharedView::new(View {
            inventory,
            graph,
            policy,
        }));
        let (metrics, readiness) = (Arc::new(Metrics::new()), Arc::new(Readiness::new()));
        readiness.store_loaded();
        readiness.inventory(Ok(()));
        let shared = Arc::clone(&store) as Arc<dyn Store>;
        let recorder = Recorder::new(
            shared,
            Arc::clone(&metrics),
            Arc::clone(&readiness),
            Spans::default(),
        );
        let watches = Arc::default();
        Self {
            expirer: Expirer::new(view, Arc::new(recorder), watches, metrics, readiness),
            start: Instant::now(),
            store,
            _dir: dir,
        }
    }

    /// A source tells of a call each minute until then.
    fn watch(&self, from_ms: u64, until_ms: u64) {
        for minute in (from_ms..=until_ms).step_by(60_000) {
            let at = self.start + Duration::from_millis(minute);
            self.expirer.watches.heard(&web(), at);
        }
    }

    /// How many dependencies there are when it was looked so late.
    async fn check(&self, now_ms: u64, expect: usize) {
        let now = self.start + Duration::from_millis(now_ms);
        self.expirer.sweep(now, now_ms).await.expect("written");
        let known = self.expirer.view.look().graph.dependency_count();
        assert_eq!(known, expect, "at {now_ms}");
        let stored = self.store.load().await.expect("read");
        assert_eq!(stored.dependencies.len(), expect, "stored at {now_ms}");
    }
}

fn web() -> Workload {
    Workload::new("shop", "web").expect("a name")
}

fn dependency(n: usize, witness: Witness) -> Dependency {
    let seen = Seen {
        first_ms: 0,
        last_ms: 0,
    };
    Dependency {
        source: web(),
        host: format!("shop/s{n}").parse().expect("a host"),
        first_seen_ms: 0,
        last_seen_ms: 0,
        count: 1,
        origin: Origin::Learned,
        sightings: Sightings::of(witness, seen),
    }
}

#[tokio::test]
async fn without_a_source_what_is_not_met_is_put_to_the_test() {
    let shop = Shop::new(Witness::Filter, 100).await;
    shop.check(HOUR_MS - 1, 10).await;
    shop.check(DUE_MS, 0).await;
}

#[tokio::test]
async fn a_source_that_was_down_proves_nothing() {
    let shop = Shop::new(Witness::AccessLog, 100).await;
    shop.check(9 * DUE_MS, 10).await;
    shop.watch(9 * DUE_MS, 9 * DUE_MS + HOUR_MS / 2);
    shop.check(9 * DUE_MS + HOUR_MS, 10).await;
    shop.watch(20 * DUE_MS, 21 * DUE_MS);
    shop.check(21 * DUE_MS, 0).await;
}

#[tokio::test]
async fn a_silence_outlives_the_collector() {
    let shop = Shop::new(Witness::AccessLog, 100).await;
    shop.watch(0, HOUR_MS / 2);
    shop.check(HOUR_MS / 2, 10).await;
    let stored = shop.store.load().await.expect("read").dependencies;
    let silent = stored.iter().map(|known| known.sightings.silence_ms());
    assert_eq!(silent.collect::<Vec<_>>(), [HOUR_MS / 2; 10]);
}

#[tokio::test]
async fn a_share_leaves_a_day() {
    let shop = Shop::new(Witness::Filter, 20).await;
    let day_ms = 24 * HOUR_MS;
    shop.check(day_ms, 8).await;
    shop.check(day_ms + HOUR_MS, 8).await;
    shop.check(2 * day_ms, 7).await;
}

#[tokio::test]
async fn nothing_leaves_while_the_inventory_lacks_something() {
    let shop = Shop::new(Witness::Filter, 100).await;
    shop.expirer.readiness.unusable(Some("a.yaml:3".to_owned()));
    shop.check(9 * DUE_MS, 10).await;
    shop.expirer.readiness.unusable(None);
    shop.check(9 * DUE_MS, 0).await;
}
