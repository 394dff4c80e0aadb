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
    let resolution = select(&["NONE", "STATIC", "DNS"]);
    let address = prop::option::of(select(&["240.0.0.1", "240.0.0.2", "240.0.1.0/24"]));
    let outside = any::<bool>();
    (metadata(&["e1", "e2", "e3"]), hosts, resolution, address, ports(), outside, words::export_to())
        .prop_map(|(metadata, hosts, resolution, address, ports, outside, export_to)| {
            let is_wildcard = hosts.iter().any(|host| host.contains('*'));
            let is_block = address.is_some_and(|address| address.contains('/'));
            let resolution = if is_wildcard || is_block { "NONE" } else { resolution };
            let mut spec = json!({
                "hosts": hosts,
                "location": if outside { "MESH_EXTERNAL" } else { "MESH_INTERNAL" },
                "ports": ports,
                "resolution": resolution,
            });
            if let Some(address) = address {
                spec["addresses"] = json!([address]);
            }
            if resolution == "STATIC" {
                spec["endpoints"] = json!([{"address": "192.0.2.66"}]);
            }
            if let Some(export_to) = export_to {
                spec["exportTo"] = json!(export_to);
            }
            json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": metadata, "spec": spec})
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
