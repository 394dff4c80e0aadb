//! The filter's entry in the catch-all filter chains of TCP.

use serde_json::{Value, json};

use crate::Attachment;

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm";
const RBAC: &str = "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC";

/// The network filter that counts what no other filter chain takes: TLS to hosts outside the mesh, above all.
///
/// It decides nothing, so unlike [`crate::http_filter`] nothing waits for its module.
pub(crate) fn tcp_filter(attachment: &Attachment) -> Value {
    json!({
        "config_discovery": {
            "apply_default_config_without_warming": true,
            "config_source": {
                "ads": {},
                "initial_fetch_timeout": "0s",
                "resource_api_version": "V3",
            },
            // Without rules it allows everything.
            "default_config": { "@type": RBAC, "stat_prefix": "lazymesh" },
            "type_urls": [WASM, RBAC],
        },
        "name": attachment.tcp_plugin_entry(),
    })
}
