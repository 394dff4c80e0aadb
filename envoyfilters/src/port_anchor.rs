//! The port anchor: a Service that nobody calls.
//!
//! A sidecar parses traffic to a port as HTTP only if it has a listener `0.0.0.0_<port>`, and it has one only as long
//! as some service in its scope has an explicit HTTP port of that number. An empty scope has none, so first requests
//! would be opaque TCP. The anchor is in every scope, at the price of one cluster a port.

use serde_json::{Value, json};

use crate::Attachment;

/// `None` without HTTP ports: Kubernetes takes no Service with a ClusterIP but without ports.
pub(crate) fn object(attachment: &Attachment) -> Option<Value> {
    let ports: Vec<_> = attachment.http_ports.iter().copied().map(port).collect();
    (!ports.is_empty()).then(|| {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                // For meshes whose services are private to their namespace by default.
                "annotations": { "networking.istio.io/exportTo": "*" },
                "labels": { "app.kubernetes.io/managed-by": "lazymesh" },
                "name": attachment.anchor_name(),
                "namespace": attachment.namespace,
            },
            // No selector: it has no endpoints and never will.
            "spec": { "ports": ports },
        })
    })
}

/// The prefix of the name is what makes the port explicitly HTTP.
fn port(number: u16) -> Value {
    json!({ "name": format!("http-{number}"), "port": number, "protocol": "TCP" })
}
