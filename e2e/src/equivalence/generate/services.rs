use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::{CALLER, CALLER_ADDRESS, CALLER_POD, HOME, metadata, words};

/// Names of ports, from which Istio takes the protocol.
const PORT_NAMES: [&str; 17] = [
    "http",
    "http-web",
    "HTTP",
    "http2",
    "http_proxy",
    "grpc",
    "grpc-web",
    "https",
    "tls",
    "tcp",
    "tcp-db",
    "udp",
    "mongo",
    "redis",
    "mysql",
    "web",
    "",
];
const APP_PROTOCOLS: [&str; 12] = [
    "http",
    "http2",
    "https",
    "grpc",
    "tcp",
    "tls",
    "mongo",
    "mysql",
    "kubernetes.io/h2c",
    "kubernetes.io/ws",
    "kubernetes.io/wss",
    "example.com/own",
];

/// What an ExternalName stands for.
const EXTERNAL: [&str; 4] = [
    "x.b.svc.cluster.local",
    "y.a.svc.cluster.local",
    "api.test",
    "outside.example",
];

/// Labels of a Service's that Istio reads.
const LABELS: [(&str, &str); 3] = [
    ("istio.io/use-waypoint", "waypoint"),
    ("istio.io/global", "true"),
    ("topology.istio.io/network", "other"),
];

/// A Service with its EndpointSlice and its pod.
pub(super) fn service() -> BoxedStrategy<Vec<Value>> {
    let form = prop_oneof![
        6 => Just(("ClusterIP", "")),
        2 => Just(("Headless", "")),
        2 => select(&EXTERNAL).prop_map(|name| ("ExternalName", name)),
        1 => Just(("Absent", "")),
    ];
    let backed = select(&["mtls", "mtls", "mtls", "plain", "mixed", "none"]);
    let label = prop::option::weighted(0.2, select(&LABELS));
    let export_to = prop_oneof![19 => words::export_to(), 1 => Just(Some(vec!["~"]))];
    let shift = prop_oneof![3 => Just(0), 1 => Just(1000)];
    (metadata(&words::NAMES), form, ports(), backed, export_to, label, shift)
        .prop_map(|(mut metadata, (form, external), ports, backed, export_to, label, shift)| {
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
                "ExternalName" => spec = json!({"type": form, "externalName": external, "ports": if shift == 0 { ports } else { Vec::new() }}),
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
            pods.chain([slice(&service, modes.len(), shift), service.clone()]).collect()
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
        prop_oneof![19 => Just("TCP"), 1 => Just("UDP")],
    );
    let ports = prop::collection::vec(port, words::PORTS.len());
    (ports, subsequence(words::PORTS.to_vec(), 1..3)).prop_map(|(kinds, numbers)| {
        let ports = numbers
            .iter()
            .zip(kinds)
            .map(|(number, (name, app_protocol, protocol))| {
                let name = if name.is_empty() {
                    format!("p{number}")
                } else {
                    format!("{name}-{number}")
                };
                let mut port = json!({"name": name, "port": number, "protocol": protocol});
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

/// The pods listen on ports of their own, shifted from those of the service.
fn slice(service: &Value, pods: usize, shift: u64) -> Value {
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
    let caller = *namespace == HOME && *name == CALLER;
    let caller = caller.then(|| {
        json!({
            "addresses": [CALLER_ADDRESS],
            "conditions": {"ready": true},
            "targetRef": {"kind": "Pod", "name": CALLER_POD, "namespace": HOME},
        })
    });
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let port = |port: &Value| {
        let number = port["port"].as_u64().map(|number| number + shift);
        json!({"name": port["name"], "port": number, "protocol": port["protocol"]})
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": format!("{}-1", name.as_str().unwrap_or_default()), "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": (1..=pods).map(endpoint).chain(caller).collect::<Vec<_>>(),
        "ports": ports.map(port).collect::<Vec<_>>(),
    })
}
