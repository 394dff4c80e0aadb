//! The filter's entry in the HTTP connection manager.

use serde_json::{Value, json};

use crate::Attachment;

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const RBAC: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";

/// The `HttpFilter` that takes the place of the one Istio makes of the WasmPlugin: the same, but switched off until
/// a virtual host switches it on, and harmless when the module is not.
///
/// The default is an RBAC filter without rules, which allows everything: without it, a module that is bad or traps
/// while it starts answers every request of a fresh proxy with 500 in spite of `FAIL_OPEN`. The proxy still waits for
/// the module before it serves (`apply_default_config_without_warming` stays off): a workload whose first calls met no
/// filter would lose those to STRICT services.
#[must_use]
pub fn http_filter(attachment: &Attachment) -> Value {
    json!({
        "config_discovery": {
            "config_source": {
                "ads": {},
                "initial_fetch_timeout": "0s",
                "resource_api_version": "V3",
            },
            "default_config": { "@type": RBAC },
            "type_urls": [WASM, RBAC],
        },
        "disabled": true,
        "name": attachment.plugin_entry(),
    })
}
