use serde_json::{Value, json};

use super::{Entry, Patches, Protocol};
use crate::certificates::spiffe;

/// All clusters of a sidecar with these services in scope.
pub(super) fn all(entries: &[&Entry], patches: Option<&Patches>) -> Vec<Value> {
    let mut clusters = vec![passthrough(), black_hole()];
    clusters.extend(patches.map(|patches| patches.cluster.clone()));
    clusters.extend(entries.iter().map(|entry| outbound(entry)));
    for cluster in &mut clusters {
        cluster["@type"] = json!("type.googleapis.com/envoy.config.cluster.v3.Cluster");
    }
    clusters
}

fn passthrough() -> Value {
    json!({
        "name": "PassthroughCluster",
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": "10s",
        "typed_extension_protocol_options": protocol(&json!({ "use_downstream_protocol_config": {
            "http_protocol_options": {},
            "http2_protocol_options": {},
        }})),
    })
}

fn black_hole() -> Value {
    json!({ "name": "BlackHoleCluster", "type": "STATIC", "connect_timeout": "10s" })
}

fn outbound(entry: &Entry) -> Value {
    let address = json!({
        "address": entry.endpoint.ip().to_string(),
        "port_value": entry.endpoint.port(),
    });
    let mut cluster = json!({
        "name": entry.cluster(),
        "type": "STATIC",
        "connect_timeout": "10s",
        "load_assignment": {
            "cluster_name": entry.cluster(),
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": { "socket_address": address } } }] }],
        },
    });
    let version = match entry.protocol {
        Protocol::Http1 => Some("http_protocol_options"),
        Protocol::Http2 => Some("http2_protocol_options"),
        Protocol::Tcp => None,
    };
    if let Some(version) = version {
        cluster["typed_extension_protocol_options"] =
            protocol(&json!({ "explicit_http_config": { version: {} } }));
    }
    if let Some(service_account) = &entry.service_account {
        cluster["transport_socket"] = mutual_tls(entry, service_account);
    }
    cluster
}

fn protocol(options: &Value) -> Value {
    let mut options = options.clone();
    options["@type"] =
        json!("type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions");
    json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options })
}

fn mutual_tls(entry: &Entry, service_account: &str) -> Value {
    let secret = |name: &str| {
        json!({
            "name": name,
            "sds_config": { "api_config_source": {
                "api_type": "GRPC",
                "grpc_services": [{ "envoy_grpc": { "cluster_name": "sds-grpc" } }],
            }},
        })
    };
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": format!("outbound_.{}_._.{}", entry.port, entry.host()),
            "common_tls_context": {
                "alpn_protocols": ["istio-peer-exchange", "istio"],
                "tls_certificate_sds_secret_configs": [secret("default")],
                "combined_validation_context": {
                    "default_validation_context": { "match_typed_subject_alt_names": [{
                        "san_type": "URI",
                        "matcher": { "exact": spiffe(&entry.namespace, service_account) },
                    }]},
                    "validation_context_sds_secret_config": secret("ROOTCA"),
                },
            },
        },
    })
}
