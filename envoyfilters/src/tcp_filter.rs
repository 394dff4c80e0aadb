//! The filter's entry in the catch-all filter chains of TCP.

use serde_json::{Value, json};

use crate::Attachment;

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm";
const RBAC: &str = "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC";

/// The network filter before the TCP proxy of a catch-all filter chain: it decides connections to the mesh's addresses, and
/// counts the others.
///
/// As with [`crate::http_filter`] the default allows everything, and a proxy waits for the module before it serves.
#[must_use]
pub fn tcp_filter(attachment: &Attachment) -> Value {
    json!({
        "config_discovery": {
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
