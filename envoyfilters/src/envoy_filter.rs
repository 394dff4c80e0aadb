//! The EnvoyFilter: what no other API of Istio can say about the filter, and nothing about services.

use serde_json::{Value, json};

use crate::route::{
    ALLOW_ANY, CATCH_ALL_VIRTUAL_HOSTS, catch_all_route_patch, cluster_header_route,
    virtual_host_patch,
};
use crate::tcp_filter::tcp_filter;
use crate::{Attachment, direct_cluster, http_filter};

pub(crate) fn object(attachment: &Attachment) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {
            "labels": { "app.kubernetes.io/managed-by": "lazymesh" },
            "name": attachment.name,
            "namespace": attachment.root_namespace,
        },
        "spec": { "configPatches": patches(attachment) },
    })
}

fn patches(attachment: &Attachment) -> Vec<Value> {
    let mut patches = vec![
        replace_filter(attachment),
        remove_from_gateways(attachment),
        add_cluster(),
    ];
    if attachment.tcp {
        // Of the listener of all ports, and of those of HTTP for what is none.
        for filter_chain in ["virtualOutbound-catchall-tcp", "PassthroughFilterChain"] {
            patches.push(insert_tcp_filter(attachment, filter_chain));
        }
    }
    for virtual_host in CATCH_ALL_VIRTUAL_HOSTS {
        patches.push(enable_filter(attachment, virtual_host));
        patches.push(insert_route(virtual_host));
    }
    patches.push(bound_catch_all_route());
    patches
}

/// A MERGE cannot set `disabled`.
fn replace_filter(attachment: &Attachment) -> Value {
    json!({
        "applyTo": "HTTP_FILTER",
        "match": plugin_entry_match(attachment, "SIDECAR_OUTBOUND"),
        "patch": { "operation": "REPLACE", "value": http_filter(attachment) },
    })
}

/// A WasmPlugin's mode CLIENT includes gateways, which are to have neither the filter nor its VM: without the entry
/// a gateway does not ask for the module.
fn remove_from_gateways(attachment: &Attachment) -> Value {
    json!({
        "applyTo": "HTTP_FILTER",
        "match": plugin_entry_match(attachment, "GATEWAY"),
        "patch": { "operation": "REMOVE" },
    })
}

fn plugin_entry_match(attachment: &Attachment, context: &str) -> Value {
    json!({
        "context": context,
        "listener": { "filterChain": { "filter": {
            "name": "envoy.filters.network.http_connection_manager",
            "subFilter": { "name": attachment.plugin_entry() },
        } } },
    })
}

fn add_cluster() -> Value {
    json!({
        "applyTo": "CLUSTER",
        "match": { "context": "SIDECAR_OUTBOUND" },
        "patch": { "operation": "ADD", "value": direct_cluster() },
    })
}

fn insert_tcp_filter(attachment: &Attachment, filter_chain: &str) -> Value {
    json!({
        "applyTo": "NETWORK_FILTER",
        "match": {
            "context": "SIDECAR_OUTBOUND",
            "listener": { "filterChain": {
                "filter": { "name": "envoy.filters.network.tcp_proxy" },
                "name": filter_chain,
            } },
        },
        "patch": { "operation": "INSERT_BEFORE", "value": tcp_filter(attachment) },
    })
}

fn enable_filter(attachment: &Attachment, virtual_host: &str) -> Value {
    json!({
        "applyTo": "VIRTUAL_HOST",
        "match": route_match(json!({ "name": virtual_host })),
        "patch": { "operation": "MERGE", "value": virtual_host_patch(attachment) },
    })
}

/// No MERGE of `cluster_header` into the catch-all route: without the filter it would answer every unknown request
/// with 503.
fn insert_route(virtual_host: &str) -> Value {
    json!({
        "applyTo": "HTTP_ROUTE",
        "match": route_match(json!({ "name": virtual_host })),
        "patch": { "operation": "INSERT_FIRST", "value": cluster_header_route() },
    })
}

fn bound_catch_all_route() -> Value {
    json!({
        "applyTo": "HTTP_ROUTE",
        "match": route_match(json!({ "name": ALLOW_ANY, "route": { "name": ALLOW_ANY } })),
        "patch": { "operation": "MERGE", "value": catch_all_route_patch() },
    })
}

fn route_match(virtual_host: Value) -> Value {
    json!({
        "context": "SIDECAR_OUTBOUND",
        "routeConfiguration": { "vhost": virtual_host },
    })
}
