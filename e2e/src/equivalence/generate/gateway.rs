//! Routes of the Gateway API for sidecars.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{metadata, words};

/// An HTTPRoute or GRPCRoute of a Service, or of a ServiceEntry: the producer's where it is in the Service's namespace, else a
/// consumer's.
pub(super) fn route() -> BoxedStrategy<Value> {
    let kind = select(&["HTTPRoute", "HTTPRoute", "GRPCRoute"]);
    let port = prop::option::weighted(0.7, select(&words::PORTS));
    let rules = prop::collection::vec(any::<(bool, bool)>(), 1..3);
    let backends = prop::collection::vec(backend(), 1..3);
    (metadata(&["r1", "r2"]), kind, parent(), port, rules, backends)
        .prop_map(|(metadata, kind, mut parent, port, rules, backends)| {
            if let Some(port) = port {
                parent["port"] = json!(port);
            }
            let rule = |(conditional, filtered): &(bool, bool)| {
                let mut rule = json!({"backendRefs": backends});
                if *conditional {
                    rule["matches"] = json!([{"headers": [{"name": "x-canary", "value": "1"}]}]);
                }
                // What the API server completes.
                if *conditional && kind == "HTTPRoute" {
                    rule["matches"][0]["path"] = json!({"type": "PathPrefix", "value": "/"});
                }
                if *filtered {
                    rule["filters"] = json!([{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-set", "value": "1"}]}}]);
                }
                rule
            };
            json!({
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": metadata,
                "spec": {"parentRefs": [parent], "rules": rules.iter().map(rule).collect::<Vec<_>>()},
            })
        })
        .boxed()
}

fn parent() -> impl Strategy<Value = Value> {
    let service = (select(&["a", "b", "c"]), select(&words::NAMES)).prop_map(
        |(namespace, name)| json!({"group": "", "kind": "Service", "namespace": namespace, "name": name}),
    );
    let entry = (select(&["a", "b", "c"]), select(&["e1", "e2"])).prop_map(|(namespace, name)| {
        json!({"group": "networking.istio.io", "kind": "ServiceEntry", "namespace": namespace, "name": name})
    });
    prop_oneof![5 => service, 1 => entry]
}

fn backend() -> impl Strategy<Value = Value> {
    let service = (select(&words::NAMES), select(&words::PORTS))
        .prop_map(|(name, port)| json!({"name": name, "port": port}));
    let hostname = (words::full_host(), select(&words::PORTS)).prop_map(|(host, port)| {
        json!({"group": "networking.istio.io", "kind": "Hostname", "name": host, "port": port})
    });
    prop_oneof![6 => service, 1 => hostname]
}
