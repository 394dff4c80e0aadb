//! The cluster of `direct` decisions.

use lazymesh_protocol::DIRECT_CLUSTER;
use serde_json::{Value, json};

/// Istio mTLS to wherever the application dialled, with the sidecar's own certificate.
///
/// Written as Istio writes its mTLS clusters. Server name and the identities that may answer differ by request: the
/// filter sets both as filter state, and Envoy keeps a connection pool for each list of identities. Only with such a list is more
/// than the mesh's root certificate checked, so nothing but the filter may choose this cluster.
#[must_use]
pub fn direct_cluster() -> Value {
    json!({
        "circuit_breakers": { "thresholds": [unlimited()] },
        "connect_timeout": "10s",
        "lb_policy": "CLUSTER_PROVIDED",
        "name": DIRECT_CLUSTER,
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": tls(),
        },
        "type": "ORIGINAL_DST",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http(),
        },
    })
}

/// As in every cluster of Istio's: Envoy's own limits are lower than what one sidecar carries.
fn unlimited() -> Value {
    json!({
        "max_connections": u32::MAX,
        "max_pending_requests": u32::MAX,
        "max_requests": u32::MAX,
        "max_retries": u32::MAX,
    })
}

/// HTTP/1.1 or HTTP/2, whichever the application speaks: nothing is known about the service yet.
fn http() -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        // As Istio's PassthroughCluster: once the host is learned, nothing uses these connections any more.
        "common_http_protocol_options": { "idle_timeout": "300s" },
        "use_downstream_protocol_config": {
            "http2_protocol_options": {},
            "http_protocol_options": {},
        },
    })
}

fn tls() -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {
            "alpn_protocols": ["istio"],
            "combined_validation_context": {
                "default_validation_context": {},
                "validation_context_sds_secret_config": secret("ROOTCA"),
            },
            "tls_certificate_sds_secret_configs": [secret("default")],
            "tls_params": {
                "tls_maximum_protocol_version": "TLSv1_3",
                "tls_minimum_protocol_version": "TLSv1_2",
            },
        },
    })
}

/// A secret from istio-agent, in the very words of Istio's clusters, so that Envoy shares one subscription.
fn secret(name: &str) -> Value {
    json!({
        "name": name,
        "sds_config": {
            "api_config_source": {
                "api_type": "GRPC",
                "grpc_services": [{ "envoy_grpc": { "cluster_name": "sds-grpc" } }],
                "set_node_on_first_message_only": true,
                "transport_api_version": "V3",
            },
            "initial_fetch_timeout": "0s",
            "resource_api_version": "V3",
        },
    })
}
