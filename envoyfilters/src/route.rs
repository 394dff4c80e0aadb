//! What the catch-all virtual host gets: the filter, and the route that its decisions leave through.

use lazymesh_protocol::{CHOSEN_PROPERTY, CLUSTER_HEADER};
use serde_json::{Value, json};

use crate::Attachment;

/// Name of Istio's catch-all virtual host and of its route under `ALLOW_ANY`.
pub(crate) const ALLOW_ANY: &str = "allow_any";
/// Istio's catch-all virtual hosts: under `ALLOW_ANY`, and under `REGISTRY_ONLY`.
pub const CATCH_ALL_VIRTUAL_HOSTS: [&str; 2] = [ALLOW_ANY, "block_all"];

const FILTER_CONFIG: &str = "type.googleapis.com/envoy.config.route.v3.FilterConfig";
const RBAC_PER_ROUTE: &str =
    "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute";

/// Longest silence on the catch-all route. It bounds a request that was paused when its Wasm VM died; the longest
/// pause that the filter itself makes is an order of magnitude shorter. Only while the filter is missing altogether
/// does it bound live streams, so it is also longer than the silences of ordinary long polling.
const CATCH_ALL_IDLE_TIMEOUT: &str = "60s";

/// Merged into the catch-all virtual hosts, the only place where the filter runs.
///
/// The switch is a `FilterConfig`, which must carry a configuration that Envoy knows a filter for. It gets the
/// empty one of RBAC: nothing to the module, and to the RBAC filter that stands in for a missing module it says
/// to check nothing.
#[must_use]
pub fn virtual_host_patch(attachment: &Attachment) -> Value {
    let entry = attachment.plugin_entry();
    json!({
        "typed_per_filter_config": {
            entry: {
                "@type": FILTER_CONFIG,
                "config": { "@type": RBAC_PER_ROUTE },
            },
        },
    })
}

/// Merged into the route `allow_any` of the virtual host of that name. (`block_all` answers directly: a route without
/// time-outs.)
#[must_use]
pub fn catch_all_route_patch() -> Value {
    json!({ "route": { "idle_timeout": CATCH_ALL_IDLE_TIMEOUT } })
}

/// First route of the catch-all virtual hosts: a request with a decision leaves through the cluster it names.
///
/// A route of its own, so that requests without a decision take Istio's ordinary catch-all route. Its idle time-out
/// says 0, Istio's default for outbound traffic, because without one Envoy keeps that of the route it chose first.
/// Applications can set the header too, but only the filter sets the filter state: without it they could choose any
/// cluster while the filter is missing. What never reached a server is sent again, as Istio's own routes do.
#[must_use]
pub fn cluster_header_route() -> Value {
    json!({
        "match": {
            "filter_state": [{
                "key": format!("wasm.{CHOSEN_PROPERTY}"),
                "string_match": { "exact": "1" },
            }],
            "headers": [{ "name": CLUSTER_HEADER, "present_match": true }],
            "prefix": "/",
        },
        "name": "lazymesh",
        "request_headers_to_remove": [CLUSTER_HEADER],
        "route": {
            "cluster_header": CLUSTER_HEADER,
            "idle_timeout": "0s",
            "retry_policy": { "num_retries": 2, "retry_on": "connect-failure,refused-stream" },
            "timeout": "0s",
        },
    })
}
