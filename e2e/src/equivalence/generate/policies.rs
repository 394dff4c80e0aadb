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
        json!({"trafficPolicy": {"portLevelSettings": [{"port": {"number": 80}, "connectionPool": {"http": {"http1MaxPendingRequests": 7}}}]}}),
    ]);
    (metadata(&["d1", "d2", "d3"]), words::host(), policy, any::<bool>(), words::export_to())
        .prop_map(|(metadata, host, mut spec, subset, export_to)| {
            spec["host"] = json!(host);
            if subset {
                spec["subsets"] = json!([{"name": "v1", "labels": {"version": "v1"}}]);
            }
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
    ]);
    let selector = prop::option::weighted(0.2, Just(json!({"labels": {"app": "other"}})));
    let policy = prop::option::weighted(0.2, select(&["REGISTRY_ONLY", "ALLOW_ANY"]));
    let namespace = select(&["istio-system", "istio-system", "a"]);
    (hosts, selector, policy, namespace)
        .prop_map(|(hosts, selector, policy, namespace)| {
            let mut spec = json!({"egress": [{"hosts": hosts}]});
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

pub(super) fn peer_authentication() -> BoxedStrategy<Value> {
    (metadata(&["default"]), select(&["STRICT", "PERMISSIVE", "DISABLE"]))
        .prop_map(|(metadata, mode)| {
            json!({
                "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": metadata,
                "spec": {"mtls": {"mode": mode}},
            })
        })
        .boxed()
}

/// An EnvoyFilter whose filter calls a service of the mesh itself.
pub(super) fn filter() -> BoxedStrategy<Value> {
    (metadata(&["f1"]), words::full_host(), select(&words::PORTS))
        .prop_map(|(metadata, host, port)| {
            let service = json!({"envoy_grpc": {"cluster_name": format!("outbound|{port}||{host}")}});
            let filter = json!({
                "name": "envoy.filters.http.ext_authz",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
                    "grpc_service": service,
                },
            });
            json!({
                "apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter", "metadata": metadata,
                "spec": {"configPatches": [{
                    "applyTo": "HTTP_FILTER",
                    "match": {"context": "SIDECAR_INBOUND", "listener": {"filterChain": {"filter": {"name": "envoy.filters.network.http_connection_manager"}}}},
                    "patch": {"operation": "INSERT_FIRST", "value": filter},
                }]},
            })
        })
        .boxed()
}

/// A WasmPlugin that calls a service of the mesh.
pub(super) fn plugin() -> BoxedStrategy<Value> {
    (metadata(&["p1"]), words::full_host(), select(&words::PORTS))
        .prop_map(|(metadata, host, port)| {
            json!({
                "apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin", "metadata": metadata,
                "spec": {
                    "url": "oci://registry.test/plugin:1",
                    "pluginConfig": {"upstream": format!("outbound|{port}||{host}")},
                },
            })
        })
        .boxed()
}

/// A RequestAuthentication whose keys a service of the mesh, or a host outside of it, has.
pub(super) fn request_authentication() -> BoxedStrategy<Value> {
    let selector = prop::option::weighted(0.3, Just(json!({"matchLabels": {"app": "other"}})));
    (metadata(&["t1"]), words::full_host(), select(&words::PORTS), selector)
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
