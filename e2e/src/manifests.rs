//! The mesh as Kubernetes describes it, for the collector's inventory: one file per object.

use std::{net::Ipv4Addr, path::Path};

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    service::{Exposure, Placed, TARGET_PORT},
    simulation::envoy::files,
};

/// Writes manifests into a directory.
pub(crate) fn write(directory: &Path, manifests: &[Value]) -> Result<()> {
    for manifest in manifests {
        let name = |pointer: &str| {
            manifest
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or("-")
        };
        let file = format!(
            "{}.{}.{}.yaml",
            name("/kind").to_lowercase(),
            name("/metadata/namespace"),
            name("/metadata/name")
        );
        // JSON is YAML.
        files::write(&directory.join(file), manifest)?;
    }
    Ok(())
}

/// A namespace; enforced or not.
pub(crate) fn namespace(name: &str, enforced: bool) -> Value {
    let mode = if enforced { "enforce" } else { "off" };
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": name, "labels": { "lazymesh.io/mode": mode } },
    })
}

/// A running pod, with or without a sidecar.
pub(crate) fn pod(namespace: &str, workload: &str, ip: &str, sidecar: bool) -> Value {
    let mut labels = json!({ "app": workload });
    if sidecar {
        labels["service.istio.io/canonical-name"] = json!(workload);
        labels["security.istio.io/tlsMode"] = json!("istio");
    }
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": format!("{workload}-0"), "namespace": namespace, "labels": labels },
        "spec": { "serviceAccountName": workload },
        "status": { "phase": "Running", "podIP": ip, "podIPs": [{ "ip": ip }] },
    })
}

/// Service, EndpointSlice and Pod.
pub(crate) fn service(placed: &Placed) -> [Value; 3] {
    let service = &placed.service;
    running(
        &service.namespace,
        &service.name,
        (placed.cluster_ip, placed.pod_ip),
        (service.port_name, service.port),
        service.exposure != Exposure::NoSidecar,
    )
}

/// A Service with one port, and one running pod behind it.
pub(crate) fn running(
    namespace: &str,
    name: &str,
    (cluster_ip, pod_ip): (Ipv4Addr, Ipv4Addr),
    (port_name, port): (&str, u16),
    sidecar: bool,
) -> [Value; 3] {
    let pod_ip = pod_ip.to_string();
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{name}-0"),
            "namespace": namespace,
            "labels": { "kubernetes.io/service-name": name },
        },
        "addressType": "IPv4",
        "endpoints": [{
            "addresses": [pod_ip],
            "conditions": { "ready": true },
            "targetRef": { "kind": "Pod", "name": format!("{name}-0"), "namespace": namespace },
        }],
        "ports": [{ "name": port_name, "port": TARGET_PORT, "protocol": "TCP" }],
    });
    [
        kubernetes_service(
            namespace,
            name,
            &cluster_ip.to_string(),
            (port_name, port, TARGET_PORT),
        ),
        slice,
        pod(namespace, name, &pod_ip, sidecar),
    ]
}

/// A Service with one port: name, port, target port.
pub(crate) fn kubernetes_service(
    namespace: &str,
    name: &str,
    cluster_ip: &str,
    (port_name, port, target_port): (&str, u16, u16),
) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "selector": { "app": name },
            "ports": [{ "name": port_name, "port": port, "targetPort": target_port, "protocol": "TCP" }],
        },
    })
}
