use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::{metadata, words};

/// A VirtualService with routes for HTTP, TCP or TLS.
pub(super) fn virtual_service() -> BoxedStrategy<Value> {
    let hosts = prop_oneof![
        4 => words::host().prop_map(|host| vec![host]),
        1 => Just(vec!["x.b.svc.cluster.local", "x.b"]),
    ];
    let protocol = prop_oneof![
        6 => prop::collection::vec(http_route(), 1..3).prop_map(|routes| json!({"http": routes})),
        1 => tcp_route().prop_map(|route| json!({"tcp": [route]})),
        1 => tls_route().prop_map(|route| json!({"tls": [route]})),
    ];
    let gateways = prop::option::weighted(0.2, select(&["mesh", "b/edge"]));
    (metadata(&["v1", "v2", "v3"]), hosts, protocol, gateways, words::export_to())
        .prop_map(|(metadata, hosts, mut spec, gateway, export_to)| {
            if spec["tls"].is_array() {
                spec["tls"][0]["match"][0]["sniHosts"] = json!(hosts);
            }
            spec["hosts"] = json!(hosts);
            if let Some(gateway) = gateway {
                spec["gateways"] = json!([gateway]);
            }
            if let Some(export_to) = export_to {
                spec["exportTo"] = json!(export_to);
            }
            json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": metadata, "spec": spec})
        })
        .boxed()
}

fn http_route() -> impl Strategy<Value = Value> {
    let conditions = prop::option::weighted(0.5, condition());
    (conditions, action(), shape()).prop_map(|(condition, action, shape)| {
        let mut route = Map::new();
        route.extend(object(action));
        if route.contains_key("route") {
            route.extend(object(shape));
        }
        if let Some(condition) = condition {
            route.insert("match".to_owned(), json!([condition]));
        }
        Value::Object(route)
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn condition() -> impl Strategy<Value = Value> {
    select(vec![
        json!({"uri": {"prefix": "/"}}),
        json!({"uri": {"prefix": "/api"}}),
        json!({"uri": {"exact": "/api"}}),
        json!({"headers": {"x-canary": {"exact": "1"}}}),
        json!({"withoutHeaders": {"x-canary": {"exact": "1"}}}),
        json!({"method": {"exact": "POST"}}),
        json!({"authority": {"exact": "x.b"}}),
        json!({"authority": {"prefix": "x"}, "uri": {"prefix": "/"}}),
        json!({"sourceLabels": {"app": "w"}}),
        json!({"sourceLabels": {"app": "tester"}}),
        json!({"sourceNamespace": "a"}),
        json!({"sourceNamespace": "b"}),
        json!({"gateways": ["mesh"]}),
        json!({"gateways": ["b/edge"]}),
        json!({"port": 80}),
        json!({"port": 8080}),
        json!({"queryParams": {"q": {"exact": "1"}}}),
    ])
}

fn action() -> impl Strategy<Value = Value> {
    let split = prop::collection::vec(target(), 2).prop_map(|mut targets| {
        for (target, weight) in targets.iter_mut().zip([90, 10]) {
            target["weight"] = json!(weight);
        }
        json!({"route": targets})
    });
    prop_oneof![
        5 => target().prop_map(|target| json!({"route": [target]})),
        2 => split,
        1 => Just(json!({"redirect": {"uri": "/elsewhere"}})),
        1 => Just(json!({"directResponse": {"status": 418}})),
    ]
}

fn shape() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => Just(json!({})),
        1 => Just(json!({"timeout": "2s"})),
        1 => Just(json!({"rewrite": {"uri": "/rewritten"}})),
        1 => Just(json!({"fault": {"abort": {"percentage": {"value": 100}, "httpStatus": 503}}})),
        1 => Just(json!({"headers": {"request": {"set": {"x-set": "1"}}}})),
        1 => words::destination().prop_map(|host| json!({"mirror": {"host": host}})),
    ]
}

fn target() -> impl Strategy<Value = Value> {
    let port = prop::option::weighted(0.6, select(&words::PORTS));
    let subset = prop::option::weighted(0.2, Just("v1"));
    (words::destination(), port, subset).prop_map(|(host, port, subset)| {
        let mut destination = json!({"host": host});
        if let Some(number) = port {
            destination["port"] = json!({"number": number});
        }
        if let Some(subset) = subset {
            destination["subset"] = json!(subset);
        }
        json!({"destination": destination})
    })
}

fn tcp_route() -> impl Strategy<Value = Value> {
    let port = prop::option::of(select(&words::PORTS));
    (port, target()).prop_map(|(port, target)| match port {
        Some(port) => json!({"match": [{"port": port}], "route": [target]}),
        None => json!({"route": [target]}),
    })
}

fn tls_route() -> impl Strategy<Value = Value> {
    (select(&words::PORTS), target())
        .prop_map(|(port, target)| json!({"match": [{"port": port}], "route": [target]}))
}

/// An HTTPRoute or GRPCRoute of a Service, or of a ServiceEntry: the producer's where it is in the Service's namespace, else a
/// consumer's.
pub(super) fn gateway_route() -> BoxedStrategy<Value> {
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
    let service = (select(&["a", "b"]), select(&words::NAMES)).prop_map(
        |(namespace, name)| json!({"group": "", "kind": "Service", "namespace": namespace, "name": name}),
    );
    let entry = (select(&["a", "b"]), select(&["e1", "e2"])).prop_map(|(namespace, name)| {
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
