//! A small mesh: namespace `shop` is enforced, `bank` only learns, `free` is not lazymesh's.

use lazymesh_core::Object;
use serde_json::{Value, json};

pub(crate) fn objects() -> Vec<Object> {
    let mut values = vec![
        namespace("shop", Some("enforce")),
        namespace("bank", Some("learn")),
        namespace("free", None),
        service("shop", "reviews", "10.96.0.10"),
        service("shop", "ratings", "10.96.0.11"),
        service("bank", "ledger", "10.96.0.12"),
        tcp_service("data", "mysql", "10.96.0.13", 80),
        tcp_service("data", "redis", "10.96.0.14", 6379),
        pod("shop", "web", "web-account"),
        pod("shop", "custom", "custom"),
        pod("bank", "teller", "teller"),
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "Sidecar",
            "metadata": {"name": "by-hand", "namespace": "shop"},
            "spec": {"workloadSelector": {"labels": {"service.istio.io/canonical-name": "custom"}}},
        }),
    ];
    values
        .extend((0..30).map(|n| service("shop", &format!("part-{n:02}"), &format!("10.96.1.{n}"))));
    values.into_iter().map(object).collect()
}

pub(crate) fn object(value: Value) -> Object {
    Object::from_value(value)
        .expect("a valid object")
        .expect("of a kind that is read")
}

fn namespace(name: &str, mode: Option<&str>) -> Value {
    let labels = mode.map_or(json!({}), |mode| json!({"lazymesh.io/mode": mode}));
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

fn service(namespace: &str, name: &str, ip: &str) -> Value {
    with_port(namespace, name, ip, json!({"name": "http", "port": 80}))
}

fn tcp_service(namespace: &str, name: &str, ip: &str, port: u16) -> Value {
    with_port(namespace, name, ip, json!({"name": "tcp", "port": port}))
}

fn with_port(namespace: &str, name: &str, ip: &str, port: Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": ip, "clusterIPs": [ip], "ports": [port]},
    })
}

fn pod(namespace: &str, workload: &str, account: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("{workload}-1"),
            "namespace": namespace,
            "labels": {"service.istio.io/canonical-name": workload},
        },
        "spec": {"serviceAccountName": account},
        "status": {"phase": "Running", "podIP": "10.0.0.1"},
    })
}
