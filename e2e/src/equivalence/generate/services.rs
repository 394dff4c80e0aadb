use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::{metadata, words};

/// Names of ports, from which Istio takes the protocol.
const PORT_NAMES: [&str; 14] = [
    "http", "http-web", "http2", "grpc", "grpc-web", "https", "tls", "tcp", "tcp-db", "mongo",
    "redis", "mysql", "web", "",
];
const APP_PROTOCOLS: [&str; 5] = ["http", "https", "grpc", "tcp", "kubernetes.io/h2c"];

/// Labels of a Service's that Istio reads.
const LABELS: [(&str, &str); 3] = [
    ("istio.io/use-waypoint", "waypoint"),
    ("istio.io/global", "true"),
    ("topology.istio.io/network", "other"),
];

/// A Service with its EndpointSlice and its pod.
pub(super) fn service() -> BoxedStrategy<Vec<Value>> {
    let form = select(&[
        "ClusterIP",
        "ClusterIP",
        "ClusterIP",
        "Headless",
        "ExternalName",
        "Absent",
    ]);
    let backed = select(&["mtls", "mtls", "mtls", "plain", "mixed", "none"]);
    let label = prop::option::weighted(0.2, select(&LABELS));
    (metadata(&words::NAMES), form, ports(), backed, words::export_to(), label)
        .prop_map(|(mut metadata, form, ports, backed, export_to, label)| {
            if let Some((name, value)) = label {
                metadata["labels"] = json!({name: value});
            }
            if let Some(export_to) = export_to {
                metadata["annotations"] = json!({"networking.istio.io/exportTo": export_to.join(",")});
            }
            let number = number(&metadata);
            let mut spec = json!({"clusterIP": format!("10.96.0.{number}"), "ports": ports});
            match form {
                "Headless" => spec["clusterIP"] = json!("None"),
                "ExternalName" => spec = json!({"type": form, "externalName": "x.b.svc.cluster.local", "ports": ports}),
                _ => spec["selector"] = json!({"app": metadata["name"]}),
            }
            if form == "Absent" {
                spec["selector"].take();
            }
            let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec});
            let modes: &[bool] = match backed {
                "mtls" => &[true],
                "plain" => &[false],
                "mixed" => &[true, false],
                _ => &[],
            };
            let pods = modes.iter().zip(1..).map(|(meshed, n)| pod(&service, n, *meshed));
            pods.chain([slice(&service, modes.len()), service.clone()]).collect()
        })
        .boxed()
}

/// A number of the service, for its addresses.
fn number(metadata: &Value) -> usize {
    let index = |list: &[&str], value: &Value| {
        list.iter()
            .position(|one| *value == **one)
            .unwrap_or_default()
    };
    10 + 10 * index(&words::NAMESPACES, &metadata["namespace"])
        + index(&words::NAMES, &metadata["name"])
}

fn ports() -> impl Strategy<Value = Vec<Value>> {
    let port = (
        select(&PORT_NAMES),
        prop::option::weighted(0.2, select(&APP_PROTOCOLS)),
    );
    let ports = prop::collection::vec(port, words::PORTS.len());
    (ports, subsequence(words::PORTS.to_vec(), 1..3)).prop_map(|(kinds, numbers)| {
        let ports = numbers
            .iter()
            .zip(kinds)
            .map(|(number, (name, app_protocol))| {
                let name = if name.is_empty() {
                    format!("p{number}")
                } else {
                    format!("{name}-{number}")
                };
                let mut port = json!({"name": name, "port": number, "protocol": "TCP"});
                if let Some(app_protocol) = app_protocol {
                    port["appProtocol"] = json!(app_protocol);
                }
                port
            });
        ports.collect()
    })
}

fn address(service: &Value, n: usize) -> String {
    format!("10.1.{n}.{}", number(&service["metadata"]))
}

fn pod_name(service: &Value, n: usize) -> String {
    format!(
        "{}-{n}",
        service["metadata"]["name"].as_str().unwrap_or_default()
    )
}

fn pod(service: &Value, n: usize, meshed: bool) -> Value {
    let name = &service["metadata"]["name"];
    let mut labels =
        json!({"app": name, "service.istio.io/canonical-name": name, "version": format!("v{n}")});
    if meshed {
        labels["security.istio.io/tlsMode"] = json!("istio");
    }
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": pod_name(service, n), "namespace": service["metadata"]["namespace"], "labels": labels},
        "spec": {"serviceAccountName": name, "containers": [{"name": "istio-proxy"}]},
        "status": {"phase": "Running", "podIP": address(service, n)},
    })
}

fn slice(service: &Value, pods: usize) -> Value {
    let (name, namespace) = (
        &service["metadata"]["name"],
        &service["metadata"]["namespace"],
    );
    let endpoint = |n| {
        json!({
            "addresses": [address(service, n)],
            "conditions": {"ready": true},
            "targetRef": {"kind": "Pod", "name": pod_name(service, n), "namespace": namespace},
        })
    };
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": format!("{}-1", name.as_str().unwrap_or_default()), "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": (1..=pods).map(endpoint).collect::<Vec<_>>(),
        "ports": ports.map(|port| json!({"name": port["name"], "port": port["port"]})).collect::<Vec<_>>(),
    })
}
