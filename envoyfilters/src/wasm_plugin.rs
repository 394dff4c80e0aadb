//! The WasmPlugins: Istio's own way to fetch a module and put it into sidecars.

use lazymesh_protocol::FilterConfig;
use serde_json::{Value, json};

use crate::Attachment;

/// A port of nobody's.
const NO_PORT: u16 = 1;

pub(crate) fn http(attachment: &Attachment) -> Value {
    let config = FilterConfig {
        // Only connections are told apart by address.
        mesh_prefixes: Vec::new(),
        ..attachment.config.clone()
    };
    let spec = json!({ "match": [{ "mode": "CLIENT" }], "pluginConfig": config });
    object(attachment, &attachment.name, spec)
}

/// Istio would put it into every filter chain of TCP; the EnvoyFilter knows better where it belongs.
pub(crate) fn tcp(attachment: &Attachment) -> Value {
    let config = FilterConfig {
        // The other one tells.
        heartbeat_interval_ms: 0,
        ..attachment.config.clone()
    };
    let spec = json!({
        "match": [{ "mode": "CLIENT", "ports": [{ "number": NO_PORT }] }],
        "pluginConfig": config,
        "type": "NETWORK",
    });
    object(attachment, &attachment.tcp_name(), spec)
}

fn object(attachment: &Attachment, name: &str, mut spec: Value) -> Value {
    // Any other strategy turns a failed download into deny-all.
    spec["failStrategy"] = json!("FAIL_OPEN");
    // No imagePullPolicy: Istio's default fetches a digest once and only the tag `latest` again and again.
    spec["url"] = json!(attachment.image);
    if let Some(sha256) = &attachment.sha256 {
        spec["sha256"] = json!(sha256);
    }
    json!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {
            "labels": { "app.kubernetes.io/managed-by": "lazymesh" },
            "name": name,
            "namespace": attachment.root_namespace,
        },
        "spec": spec,
    })
}
