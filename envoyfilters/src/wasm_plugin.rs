//! The WasmPlugin: Istio's own way to fetch a module and put it into sidecars.

use serde_json::{Value, json};

use crate::Attachment;

pub(crate) fn object(attachment: &Attachment) -> Value {
    let mut spec = json!({
        // Any other strategy turns a failed download into deny-all.
        "failStrategy": "FAIL_OPEN",
        "match": [{ "mode": "CLIENT" }],
        "pluginConfig": attachment.config,
        "url": attachment.image,
    });
    // No imagePullPolicy: Istio's default fetches a digest once and only the tag `latest` again and again.
    if let Some(sha256) = &attachment.sha256 {
        spec["sha256"] = json!(sha256);
    }
    json!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {
            "labels": { "app.kubernetes.io/managed-by": "lazymesh" },
            "name": attachment.name,
            "namespace": attachment.root_namespace,
        },
        "spec": spec,
    })
}
