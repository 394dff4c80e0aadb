use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{metadata, words};

pub(super) fn destination_rule() -> BoxedStrategy<Value> {
    let policy = select(vec![
        json!({}),
        json!({"trafficPolicy": {"loadBalancer": {"simple": "ROUND_ROBIN"}}}),
        json!({"trafficPolicy": {"tls": {"mode": "DISABLE"}}}),
        json!({"trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}}),
        json!({"trafficPolicy": {"loadBalancer": {"consistentHash": {"httpHeaderName": "x-user"}}}}),
        json!({"trafficPolicy": {"outlierDetection": {"consecutive5xxErrors": 3}}}),
        json!({"workloadSelector": {"matchLabels": {"app": "w"}}, "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}}),
        json!({"workloadSelector": {"matchLabels": {"app": "other"}}, "trafficPolicy": {"tls": {"mode": "DISABLE"}}}),
        json!({"trafficPolicy": {"portLevelSettings": [{"port": {"number": 80}, "connectionPool": {"http": {"http1MaxPendingRequests": 7}}}]}}),
    ]);
    (metadata(&["d1", "d2", "d3"]), words::host(), policy, any::<bool>(), words::export_to())
        .prop_map(|(metadata, host, mut spec, subset, export_to)| {
            spec["host"] = json!(host);
            if subset {
                spec["subsets"] = json!([{"name": "v1", "labels": {"version": "v1"}}]);
            }
            // One for some pods is for those of its own namespace.
            let export_to = export_to.filter(|_| spec["workloadSelector"].is_null());
            if let Some(export_to) = export_to {
                spec["exportTo"] = json!(export_to);
            }
            json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": metadata, "spec": spec})
        })
        .boxed()
}

/// A person's Sidecar: of the whole mesh, of a namespace, or of other pods.
pub(super) fn sidecar() -> BoxedStrategy<Value> {
    let hosts = select(vec![
        json!(["./*"]),
        json!(["./*", "istio-system/*"]),
        json!(["*/*"]),
        json!(["*/*", "~/x.b.svc.cluster.local"]),
        json!(["*/*", "~b/*"]),
        json!(["b/*"]),
        json!(["./*", "b/x.b.svc.cluster.local", "*/*.test"]),
        json!(["*/*.svc.cluster.local", "~./y.a.svc.cluster.local"]),
        json!(["*/*", "~*/*.test"]),
    ]);
    let selector = prop::option::weighted(0.2, Just(json!({"labels": {"app": "other"}})));
    let policy = prop::option::weighted(0.2, select(&["REGISTRY_ONLY", "ALLOW_ANY"]));
    let namespace = select(&["istio-system", "istio-system", "a"]);
    let listener = prop::option::weighted(0.2, select(&words::PORTS));
    (hosts, selector, policy, namespace, listener)
        .prop_map(|(hosts, selector, policy, namespace, listener)| {
            let mut egress = vec![json!({"hosts": hosts})];
            if let Some(number) = listener {
                let port = json!({"number": number, "protocol": "HTTP", "name": "own"});
                egress.insert(0, json!({"port": port, "hosts": ["b/*"]}));
            }
            let mut spec = json!({"egress": egress});
            if let Some(selector) = selector.filter(|_| namespace != "istio-system") {
                spec["workloadSelector"] = selector;
            }
            if let Some(policy) = policy {
                spec["outboundTrafficPolicy"] = json!({"mode": policy});
            }
            json!({
                "apiVersion": "networking.istio.io/v1", "kind": "Sidecar",
                "metadata": {"name": "by-hand", "namespace": namespace, "creationTimestamp": "2026-01-01T00:00:00Z"},
                "spec": spec,
            })
        })
        .boxed()
}

/// Of mutual TLS.
const MODES: [&str; 3] = ["STRICT", "PERMISSIVE", "DISABLE"];

pub(super) fn peer_authentication() -> BoxedStrategy<Value> {
    let of_port = (select(&words::NAMES), select(&words::PORTS), select(&MODES));
    (metadata(&["default", "of-pods"]), select(&MODES), prop::option::weighted(0.3, of_port))
        .prop_map(|(metadata, mode, of_port)| {
            let mut spec = json!({"mtls": {"mode": mode}});
            if let Some((app, port, mode)) = of_port {
                spec["selector"] = json!({"matchLabels": {"app": app}});
                spec["portLevelMtls"] = json!({port.to_string(): {"mode": mode}});
            }
            json!({
                "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": metadata, "spec": spec,
            })
        })
        .boxed()
}

/// An EnvoyFilter whose filter calls a service of the mesh itself.
pub(super) fn filter() -> BoxedStrategy<Value> {
    let context = select(&["SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "ANY"]);
    (metadata(&["f1"]), words::full_host(), select(&words::PORTS), context, selector("labels"))
        .prop_map(|(metadata, host, port, context, selector)| {
            let service = json!({"envoy_grpc": {"cluster_name": format!("outbound|{port}||{host}")}});
            let filter = json!({
                "name": "envoy.filters.http.ext_authz",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
                    "grpc_service": service,
                },
            });
            let mut spec = json!({"configPatches": [{
                "applyTo": "HTTP_FILTER",
                "match": {"context": context, "listener": {"filterChain": {"filter": {"name": "envoy.filters.network.http_connection_manager"}}}},
                "patch": {"operation": "INSERT_FIRST", "value": filter},
            }]});
            if let Some(selector) = selector {
                spec["workloadSelector"] = selector;
            }
            json!({"apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter", "metadata": metadata, "spec": spec})
        })
        .boxed()
}

/// An EnvoyFilter that patches the routes or the clusters of one host.
pub(super) fn patch() -> BoxedStrategy<Value> {
    (metadata(&["f2"]), words::full_host(), select(&words::PORTS), any::<bool>(), selector("labels"))
        .prop_map(|(metadata, host, port, of_routes, selector)| {
            let (kind, place, value) = match of_routes {
                true => (
                    "HTTP_ROUTE",
                    json!({"context": "SIDECAR_OUTBOUND", "routeConfiguration": {"vhost": {"name": format!("{host}:{port}")}}}),
                    json!({"route": {"timeout": "1s"}}),
                ),
                false => (
                    "CLUSTER",
                    json!({"context": "SIDECAR_OUTBOUND", "cluster": {"service": host}}),
                    json!({"connect_timeout": "1s"}),
                ),
            };
            let mut spec = json!({"configPatches": [
                {"applyTo": kind, "match": place, "patch": {"operation": "MERGE", "value": value}},
            ]});
            if let Some(selector) = selector {
                spec["workloadSelector"] = selector;
            }
            json!({"apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter", "metadata": metadata, "spec": spec})
        })
        .boxed()
}

/// A WasmPlugin that calls a service of the mesh.
pub(super) fn plugin() -> BoxedStrategy<Value> {
    (metadata(&["p1"]), words::full_host(), select(&words::PORTS), selector("matchLabels"))
        .prop_map(|(metadata, host, port, selector)| {
            let mut spec = json!({
                "url": "oci://registry.test/plugin:1",
                "pluginConfig": {"upstream": format!("outbound|{port}||{host}")},
            });
            if let Some(selector) = selector {
                spec["selector"] = selector;
            }
            json!({"apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin", "metadata": metadata, "spec": spec})
        })
        .boxed()
}

/// A RequestAuthentication whose keys a service of the mesh, or a host outside of it, has.
pub(super) fn request_authentication() -> BoxedStrategy<Value> {
    (metadata(&["t1"]), words::full_host(), select(&words::PORTS), selector("matchLabels"))
        .prop_map(|(metadata, host, port, selector)| {
            let rule = json!({"issuer": "issuer.test", "jwksUri": format!("http://{host}:{port}/keys")});
            let mut spec = json!({"jwtRules": [rule]});
            if let Some(selector) = selector {
                spec["selector"] = selector;
            }
            json!({"apiVersion": "security.istio.io/v1", "kind": "RequestAuthentication", "metadata": metadata, "spec": spec})
        })
        .boxed()
}

/// The pods that a policy is for, by the field for their labels; mostly all of them.
fn selector(field: &'static str) -> impl Strategy<Value = Option<Value>> {
    let app = select(&["w", "other"]);
    prop::option::weighted(0.3, app.prop_map(move |app| json!({field: {"app": app}})))
}
