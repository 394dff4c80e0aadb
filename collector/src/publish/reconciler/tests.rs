use std::time::Duration;

use lazymesh_core::{
    Dependency, EgressHost, Graph, Inventory, Limits, Mesh, Object, Origin, Policy, Sightings,
    Workload,
};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::*;
use crate::kubernetes::fixtures::FakeApi;
use crate::publish::kubernetes::KubernetesSink;
use crate::publish::kubernetes::owner::Owner;
use crate::runtime::metrics::Metrics;
use crate::spans::Spans;
use crate::state::{SharedView, View};

/// Less than an API call may take.
const PATIENCE: Duration = Duration::from_secs(10);
const GLANCE: Duration = Duration::from_millis(5);

/// Enforced namespaces, each with a Service and a pod of workload `web`.
fn view(namespaces: &[&str]) -> Arc<SharedView> {
    let mut inventory = Inventory::new(Mesh::default());
    for namespace in namespaces {
        for value in [
            json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": { "name": namespace, "labels": { "lazymesh.io/mode": "enforce" } },
            }),
            json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": { "name": "api", "namespace": namespace },
                "spec": { "ports": [{ "port": 80, "name": "http" }] },
            }),
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "name": "web-1", "namespace": namespace,
                    "labels": { "service.istio.io/canonical-name": "web" },
                },
            }),
        ] {
            inventory.apply(Object::from_value(value).unwrap().unwrap());
        }
    }
    Arc::new(SharedView::new(View {
        inventory,
        graph: Graph::new(Limits::default()),
        policy: Policy::default(),
    }))
}

fn start(view: &Arc<SharedView>) -> FakeApi {
    let (api, client) = FakeApi::start();
    let sink = KubernetesSink::new(client, Owner::default(), Arc::default());
    let tools = Tools {
        view: Arc::clone(view),
        sink: Arc::new(sink),
        settle: Duration::ZERO,
        published: Arc::default(),
        metrics: Arc::new(Metrics::new()),
        spans: Spans::default(),
    };
    let reconciler = Reconciler::new(tools, Arc::new(Readiness::new()));
    tokio::spawn(reconciler.run());
    api
}

/// A workload learns a host for which a request is held.
fn learn(view: &SharedView, namespace: &str, host: &str) {
    let source = Workload::new(namespace, "web").unwrap();
    view.change(|view| {
        view.graph.insert(Dependency {
            source: source.clone(),
            host: host.parse::<EgressHost>().unwrap(),
            first_seen_ms: 1,
            last_seen_ms: 1,
            count: 1,
            origin: Origin::Learned,
            sightings: Sightings::default(),
        });
    });
    view.announce(Event::Learned {
        source,
        held: true,
        span: Context::new(),
    });
}

async fn until(what: &str, is_true: impl Fn() -> bool) {
    let wait = async {
        while !is_true() {
            sleep(GLANCE).await;
        }
    };
    timeout(PATIENCE, wait).await.expect(what);
}

fn hosts(api: &FakeApi, place: &str) -> Value {
    let sidecar = api.get("sidecars", place).unwrap_or_default();
    sidecar["spec"]["egress"][0]["hosts"].clone()
}

#[tokio::test]
async fn a_namespace_whose_answer_is_withheld_delays_nobody_else() {
    let view = view(&["a-stuck", "shop"]);
    let api = start(&view);
    api.withhold("a-stuck");
    until("the others are published", || {
        api.get("sidecars", "shop/lazymesh-default").is_some()
    })
    .await;
    let host = "a-stuck/api.a-stuck.svc.cluster.local";
    for namespace in ["a-stuck", "shop"] {
        learn(&view, namespace, host);
    }
    until("what a request is held for is published", || {
        let hosts = hosts(&api, "shop/lazymesh-web");
        hosts
            .as_array()
            .is_some_and(|hosts| hosts.contains(&json!(host)))
    })
    .await;
    assert_eq!(api.get("sidecars", "a-stuck/lazymesh-web"), None);
}

#[tokio::test]
async fn a_namespace_s_workloads_come_before_its_default() {
    let view = view(&["shop"]);
    let api = start(&view);
    until("the default is published", || {
        api.get("sidecars", "shop/lazymesh-default").is_some()
    })
    .await;
    let version = |name| {
        let sidecar = api.get("sidecars", &format!("shop/{name}")).unwrap();
        let version = sidecar["metadata"]["resourceVersion"].as_str().unwrap();
        version.parse::<u64>().unwrap()
    };
    assert!(version("lazymesh-web") < version("lazymesh-default"));
}
