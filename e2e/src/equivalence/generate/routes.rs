use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::{metadata, words};

/// Names of VirtualServices that others delegate to.
const DELEGATES: [&str; 2] = ["d1", "d2"];

/// A VirtualService with routes for HTTP, TCP or TLS.
pub(super) fn virtual_service() -> BoxedStrategy<Value> {
    let hosts = prop_oneof![
        4 => words::host().prop_map(|host| vec![host]),
        1 => select(vec![
            vec!["x.b.svc.cluster.local", "x.b"],
            vec!["x", "y"],
            vec!["x.b.svc.cluster.local", "api.test"],
            vec!["*.test", "x.b.svc.cluster.local"],
        ]),
    ];
    let protocol = prop_oneof![
        6 => prop::collection::vec(http_route(), 1..3).prop_map(|routes| json!({"http": routes})),
        1 => tcp_route().prop_map(|route| json!({"tcp": [route]})),
        1 => tls_route().prop_map(|route| json!({"tls": [route]})),
    ];
    let gateways = prop::option::weighted(
        0.2,
        select(vec![vec!["mesh"], vec!["b/edge"], vec!["mesh", "b/edge"]]),
    );
    (metadata(&["v1", "v2", "v3"]), hosts, protocol, gateways, words::export_to())
        .prop_map(|(metadata, hosts, mut spec, gateway, export_to)| {
            if spec["tls"].is_array() {
                spec["tls"][0]["match"][0]["sniHosts"] = json!(hosts);
            }
            spec["hosts"] = json!(hosts);
            if let Some(gateway) = gateway {
                spec["gateways"] = json!(gateway);
            }
            if let Some(export_to) = export_to {
                spec["exportTo"] = json!(export_to);
            }
            json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": metadata, "spec": spec})
        })
        .boxed()
}

/// A VirtualService without hosts, which others delegate to.
pub(super) fn delegate() -> BoxedStrategy<Value> {
    let last = |route: &Value| route["delegate"].is_null();
    let routes = prop::collection::vec(
        http_route().prop_filter("no delegate of its own", last),
        1..3,
    );
    (metadata(&DELEGATES), routes, words::export_to())
        .prop_map(|(metadata, routes, export_to)| {
            let mut spec = json!({"http": routes});
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
        json!({"uri": {"regex": "/.*"}}),
        json!({"uri": {"regex": "/api/[0-9]+"}}),
        json!({"uri": {"prefix": "/API"}, "ignoreUriCase": true}),
        json!({"headers": {"x-canary": {"exact": "1"}}}),
        json!({"headers": {"x-canary": {}}}),
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
        json!({"port": 80, "sourceNamespace": "a", "sourceLabels": {"app": "w"}}),
        json!({"gateways": ["mesh"], "sourceNamespace": "b"}),
        json!({"queryParams": {"q": {"exact": "1"}}}),
    ])
}

fn action() -> impl Strategy<Value = Value> {
    let weights = select(&[[90, 10], [100, 0], [0, 100], [1, 1]]);
    let split = (prop::collection::vec(target(), 2), weights).prop_map(|(mut targets, weights)| {
        for (target, weight) in targets.iter_mut().zip(weights) {
            target["weight"] = json!(weight);
        }
        json!({"route": targets})
    });
    let delegate = (
        select(&DELEGATES),
        prop::option::of(select(&words::NAMESPACES)),
    )
        .prop_map(|(name, namespace)| match namespace {
            Some(namespace) => json!({"delegate": {"name": name, "namespace": namespace}}),
            None => json!({"delegate": {"name": name}}),
        });
    prop_oneof![
        5 => target().prop_map(|target| json!({"route": [target]})),
        2 => split,
        1 => Just(json!({"redirect": {"uri": "/elsewhere"}})),
        1 => Just(json!({"directResponse": {"status": 418}})),
        1 => delegate,
    ]
}

fn shape() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => Just(json!({})),
        1 => Just(json!({"timeout": "2s"})),
        1 => Just(json!({"rewrite": {"uri": "/rewritten"}})),
        1 => Just(json!({"fault": {"abort": {"percentage": {"value": 100}, "httpStatus": 503}}})),
        1 => Just(json!({"headers": {"request": {"set": {"x-set": "1"}}}})),
        1 => select(vec![
            json!({"retries": {"attempts": 3}}),
            json!({"retries": {"attempts": 0}}),
            json!({"rewrite": {"authority": "other.example"}}),
            json!({"fault": {"delay": {"percentage": {"value": 1}, "fixedDelay": "1s"}}}),
            json!({"corsPolicy": {"allowOrigins": [{"exact": "*"}]}}),
        ]),
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
