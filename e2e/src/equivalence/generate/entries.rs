use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::{metadata, words};

/// A ServiceEntry, be it for a host outside, a wildcard, or on the name of a Service.
pub(super) fn entry() -> BoxedStrategy<Value> {
    let hosts = prop_oneof![
        3 => words::full_host().prop_map(|host| vec![host]),
        1 => select(&["*.test", "*.api.test"]).prop_map(|host| vec![host]),
        1 => Just(vec!["api.test", "other.example"]),
    ];
    let resolution = select(&["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN"]);
    // One at most: of several, chance decides in istiod by which a request may name the host.
    let addresses = prop_oneof![
        1 => Just(vec![]),
        1 => select(&["240.0.0.1", "240.0.0.2", "240.0.1.0/24", "10.96.0.20"]).prop_map(|address| vec![address]),
    ];
    let endpoints = select(vec![
        json!({"endpoints": [{"address": "192.0.2.66"}]}),
        json!({"endpoints": [{"address": "192.0.2.66", "labels": {"version": "v1"}}, {"address": "192.0.2.67"}]}),
        json!({"workloadSelector": {"labels": {"app": "x"}}}),
    ]);
    let outside = any::<bool>();
    (metadata(&["e1", "e2", "e3"]), hosts, resolution, addresses, endpoints, ports(), outside, words::export_to())
        .prop_map(|(metadata, hosts, resolution, addresses, endpoints, ports, outside, export_to)| {
            let is_wildcard = hosts.iter().any(|host| host.contains('*'));
            let is_block = addresses.iter().any(|address| address.contains('/'));
            let resolution = if is_wildcard || is_block { "NONE" } else { resolution };
            let mut spec = match resolution {
                "STATIC" => endpoints,
                _ => json!({}),
            };
            spec["hosts"] = json!(hosts);
            spec["location"] = json!(if outside { "MESH_EXTERNAL" } else { "MESH_INTERNAL" });
            spec["ports"] = json!(ports);
            spec["resolution"] = json!(resolution);
            if !addresses.is_empty() {
                spec["addresses"] = json!(addresses);
            }
            if let Some(export_to) = export_to {
                spec["exportTo"] = json!(export_to);
            }
            json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": metadata, "spec": spec})
        })
        .boxed()
}

/// A machine outside Kubernetes that a Service or a ServiceEntry may select.
pub(super) fn workload() -> BoxedStrategy<Value> {
    (metadata(&["m1", "m2"]), select(&words::NAMES))
        .prop_map(|(metadata, name)| {
            let labels = json!({"app": name, "version": "v1", "security.istio.io/tlsMode": "istio"});
            json!({
                "apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry", "metadata": metadata,
                "spec": {"address": "192.0.2.77", "labels": labels, "serviceAccount": "machine"},
            })
        })
        .boxed()
}

fn ports() -> impl Strategy<Value = Vec<Value>> {
    let protocols = prop::collection::vec(
        select(&[
            "HTTP", "HTTP", "HTTP2", "GRPC", "HTTPS", "TLS", "TCP", "MONGO",
        ]),
        words::PORTS.len(),
    );
    (protocols, subsequence(words::PORTS.to_vec(), 1..3)).prop_map(|(protocols, numbers)| {
        let ports = numbers.iter().zip(protocols).map(|(number, protocol)| {
            json!({"name": format!("p{number}"), "number": number, "protocol": protocol})
        });
        ports.collect()
    })
}
