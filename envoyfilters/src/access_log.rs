//! The EnvoyFilter by which sidecars send their access logs to the collector.

use serde_json::{Value, json};

use crate::Attachment;

const HTTP: &str =
    "type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig";
const TCP: &str =
    "type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig";
const HTTP_CONNECTION_MANAGER: &str = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const TCP_PROXY: &str =
    "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";

/// The collector's port for access logs.
pub const ALS_PORT: u16 = 8483;

/// Which access logs go where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Host of the collector, whose [`ALS_PORT`] speaks HTTP/2.
    pub host: String,
    /// How many of a hundred requests, and connections, are sent.
    pub percent: u8,
}

/// The access log of an HTTP connection manager.
#[must_use]
pub fn http_access_log(als: &AccessLog) -> Value {
    logger(als, "envoy.access_loggers.http_grpc", HTTP)
}

/// The access log of a TCP proxy.
#[must_use]
pub fn tcp_access_log(als: &AccessLog) -> Value {
    logger(als, "envoy.access_loggers.tcp_grpc", TCP)
}

fn logger(als: &AccessLog, name: &str, config: &str) -> Value {
    let AccessLog { host, percent } = als;
    json!({
        "filter": { "runtime_filter": {
            "percent_sampled": { "denominator": "HUNDRED", "numerator": percent },
            "runtime_key": "lazymesh.als",
            // Not by the trace's id: what is traced is chosen by others, and not at random.
            "use_independent_randomness": true,
        } },
        "name": name,
        "typed_config": {
            "@type": config,
            "common_config": {
                "grpc_service": { "envoy_grpc": {
                    // Without it, the name of the cluster, which is no authority.
                    "authority": host,
                    "cluster_name": format!("outbound|{ALS_PORT}||{host}"),
                } },
                "log_name": "lazymesh",
                "transport_api_version": "V3",
            },
        },
    })
}

pub(crate) fn object(attachment: &Attachment, als: &AccessLog) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {
            "labels": { "app.kubernetes.io/managed-by": "lazymesh" },
            "name": attachment.access_log_name(),
            "namespace": attachment.root_namespace,
        },
        "spec": { "configPatches": [
            add("envoy.filters.network.http_connection_manager", HTTP_CONNECTION_MANAGER, &http_access_log(als)),
            add("envoy.filters.network.tcp_proxy", TCP_PROXY, &tcp_access_log(als)),
        ] },
    })
}

/// A MERGE lets a list grow: what others log stays.
fn add(filter: &str, config: &str, log: &Value) -> Value {
    json!({
        "applyTo": "NETWORK_FILTER",
        "match": {
            "context": "SIDECAR_OUTBOUND",
            "listener": { "filterChain": { "filter": { "name": filter } } },
        },
        "patch": {
            "operation": "MERGE",
            "value": { "name": filter, "typed_config": { "@type": config, "access_log": [log] } },
        },
    })
}
