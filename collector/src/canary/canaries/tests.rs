use lazymesh_core::{Calls, Graph, Inventory, Limits, Mesh, Object, Plan, Policy, Subject};
use lazymesh_protocol::Protocol;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::spans::Spans;
use crate::store::{SledStore, Store};

/// `shop/web`, enforced as part of a canary.
struct Shop {
    canaries: Arc<Canaries>,
    dir: TempDir,
}

fn namespace(labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}})
}

fn canary(percent: &str) -> Value {
    namespace(&json!({"lazymesh.io/mode": "enforce", "lazymesh.io/enforce-percent": percent}))
}

fn object(value: Value) -> Object {
    Object::from_value(value).expect("valid").expect("read")
}

async fn collector(dir: &TempDir, labelled: Value) -> Arc<Canaries> {
    let mut inventory = Inventory::new(Mesh::default());
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "namespace": "shop", "name": "web-1",
            "labels": {"service.istio.io/canonical-name": "web"},
        },
    });
    for value in [labelled, pod] {
        inventory.apply(object(value));
    }
    let view = Arc::new(SharedView::new(View {
        inventory,
        graph: Graph::new(Limits::default()),
        policy: Policy::default(),
    }));
    let (metrics, readiness) = (Arc::new(Metrics::new()), Arc::new(Readiness::new()));
    readiness.inventory(Ok(()));
    let store = Arc::new(SledStore::open(dir.path()).expect("a store")) as Arc<dyn Store>;
    let recorder = Recorder::new(
        store,
        Arc::clone(&metrics),
        Arc::clone(&readiness),
        Spans::default(),
    );
    recorder.load(&view).await.expect("it loads");
    let canaries = Canaries::new(view, Arc::new(recorder), metrics, readiness);
    Arc::new(canaries)
}

impl Shop {
    async fn new(labelled: Value) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let canaries = collector(&dir, labelled).await;
        Self { canaries, dir }
    }

    async fn restart(self) -> Self {
        let Self { canaries, dir } = self;
        canaries.recorder.close().await.expect("it closes");
        drop(canaries);
        let canaries = collector(&dir, canary("100")).await;
        Self { canaries, dir }
    }

    async fn hear(&self, hold_timeouts: u64, callout_failures: u64) {
        let trouble = Trouble {
            protocol: Protocol::Http,
            hold_timeouts,
            callout_failures,
        };
        self.canaries.hear(&web(), trouble).await;
    }

    /// Why `shop/web` has no Sidecar; `publish` where it has one.
    #[track_caller]
    fn check(&self, expect: &str) {
        let view = self.canaries.view.look();
        let plan = view.plan(&Subject::Workload(web()));
        let word = match &plan {
            Plan::Publish(_) => "publish",
            Plan::None(reason) => reason.word(),
        };
        assert_eq!(word, expect);
    }
}

fn web() -> Workload {
    Workload::new("shop", "web").expect("a name")
}

#[tokio::test]
async fn too_many_troubles_revert_a_canary() {
    for (hold_timeouts, callout_failures) in [(3, 0), (0, 11)] {
        let shop = Shop::new(canary("100")).await;
        shop.hear(hold_timeouts, callout_failures).await;
        shop.check("publish");
        shop.hear(hold_timeouts, callout_failures).await;
        shop.check("reverted");
        let checks = shop.canaries.readiness.checks();
        let told = checks.into_iter().find(|it| it.name == "canaries");
        let told = told.and_then(|it| it.detail).expect("a detail");
        assert!(told.contains("shop/web: "), "{told}");
    }
}

#[tokio::test]
async fn calls_that_fail_more_than_they_usually_do_revert_it() {
    let check = async |usually: u64, expect: &str| {
        let shop = Shop::new(canary("100")).await;
        let seen = Symptoms {
            calls: Calls {
                all: 100,
                failed: 30,
            },
            usual: Calls {
                all: 100,
                failed: usually,
            },
            ..Symptoms::default()
        };
        shop.canaries.judge(&web(), &seen).await;
        shop.check(expect);
    };
    check(28, "publish").await;
    check(0, "reverted").await;
}

#[tokio::test]
async fn a_revert_outlives_a_restart_and_ends_when_somebody_says_so() {
    let shop = Shop::new(canary("100")).await;
    shop.hear(100, 0).await;
    let shop = shop.restart().await;
    shop.check("reverted");
    let resume = async |shop: &Shop| shop.canaries.resume("shop".to_owned()).await;
    assert!(resume(&shop).await.expect("written"));
    shop.check("publish");
    assert!(!resume(&shop).await.expect("written"));
    // What went wrong before does not count.
    shop.hear(3, 0).await;
    let shop = shop.restart().await;
    shop.check("publish");
}

#[tokio::test]
async fn another_number_is_another_try() {
    let shop = Shop::new(canary("100")).await;
    shop.hear(100, 0).await;
    shop.check("reverted");
    let label = |labels: Value| {
        let view = &shop.canaries.view;
        view.change(|view| view.inventory.apply(object(labels)));
    };
    label(canary("99"));
    shop.check("publish");
    assert_eq!(shop.canaries.void(), ["shop"]);
    label(canary("100"));
    shop.check("reverted");
    assert!(shop.canaries.void().is_empty());
    label(namespace(&json!({"lazymesh.io/mode": "enforce"})));
    shop.check("publish");
}

#[tokio::test]
async fn only_what_is_enforced_as_part_of_a_canary_is_watched() {
    let learn = json!({"lazymesh.io/enforce-percent": "100"});
    let whole = json!({"lazymesh.io/mode": "enforce"});
    for labelled in [
        canary("0"),
        canary("all"),
        namespace(&learn),
        namespace(&whole),
    ] {
        let shop = Shop::new(labelled).await;
        shop.hear(100, 100).await;
        let view = shop.canaries.view.look();
        assert!(view.policy.reverts.is_empty());
        assert!(shop.canaries.tallies.lock().is_empty());
    }
}
