//! What a mesh has beside Services: rules of services that nobody calls, and ServiceEntries.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::lab::reference;

const NETWORKING: &str = "networking.istio.io/v1";
/// One service in so many has such a rule.
const EVERY: usize = 20;
/// Where hosts outside the mesh have addresses.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);

/// What comes with the `index`th service. A VirtualService takes `requests`.
pub(super) fn beside(namespace: &str, index: usize, host: &str, requests: bool) -> Vec<Value> {
    let name = format!("rule-{index}");
    let object = |kind, spec| {
        let mut object = reference(NETWORKING, kind, namespace, &name);
        object["spec"] = spec;
        object
    };
    let subset = |name: &str| json!({ "name": name, "labels": { "version": name } });
    let share = |name: &str, weight: u8| {
        let destination = json!({ "host": host, "subset": name });
        json!({ "destination": destination, "weight": weight })
    };
    match index % EVERY {
        3 => vec![object(
            "DestinationRule",
            json!({ "host": host, "trafficPolicy": { "connectionPool": { "tcp": { "maxConnections": 100 } } } }),
        )],
        7 if requests => vec![
            object(
                "DestinationRule",
                json!({ "host": host, "subsets": [subset("v1"), subset("v2")] }),
            ),
            object(
                "VirtualService",
                json!({ "hosts": [host], "http": [{ "route": [share("v1", 90), share("v2", 10)] }] }),
            ),
        ],
        11 => vec![object("ServiceEntry", entry(index))],
        _ => Vec::new(),
    }
}

/// An API over TLS, one that the sidecar secures, and a database, in turns.
fn entry(index: usize) -> Value {
    let host = format!("outside-{index}.example.com");
    let address = Ipv4Addr::from(u32::from(OUTSIDE) + index as u32);
    let (port, fixed) = match index / EVERY % 3 {
        0 => (
            json!({ "number": 443, "name": "tls", "protocol": "TLS" }),
            false,
        ),
        1 => (
            json!({ "number": 80, "name": "http", "protocol": "HTTP" }),
            false,
        ),
        _ => (
            json!({ "number": 5432, "name": "tcp", "protocol": "TCP" }),
            true,
        ),
    };
    let mut entry = json!({ "hosts": [host], "location": "MESH_EXTERNAL", "ports": [port] });
    entry["resolution"] = json!(if fixed { "STATIC" } else { "DNS" });
    if fixed {
        entry["addresses"] = json!([address]);
        entry["endpoints"] = json!([{ "address": address }]);
    }
    entry
}
