//! A small mesh in directories.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

const MANIFESTS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {lazymesh.io/mode: enforce}}
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {clusterIP: 10.96.0.10, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {service.istio.io/canonical-name: web}}
spec: {serviceAccountName: web-account}
status: {phase: Running, podIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: custom-1, namespace: shop, labels: {service.istio.io/canonical-name: custom}}
spec: {serviceAccountName: default}
status: {phase: Running, podIP: 10.0.0.2}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: by-hand, namespace: shop}
spec: {workloadSelector: {labels: {service.istio.io/canonical-name: custom}}}
---
apiVersion: v1
kind: Namespace
metadata: {name: free}
---
apiVersion: v1
kind: Pod
metadata: {name: job-1, namespace: free, labels: {service.istio.io/canonical-name: job}}
status: {phase: Running, podIP: 10.0.0.3}
";

pub(crate) struct Mesh {
    root: TempDir,
}

impl Mesh {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        fs::create_dir(root.path().join("manifests")).expect("a directory");
        fs::write(root.path().join("manifests/mesh.yaml"), MANIFESTS).expect("a file");
        Self { root }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Flags of a collector over this mesh, on free ports.
    pub(crate) fn flags(&self) -> Vec<String> {
        let path = |name| self.path(name).display().to_string();
        vec![
            "--ingest=127.0.0.1:0".to_owned(),
            "--admin=127.0.0.1:0".to_owned(),
            format!("--data-dir={}", path("data")),
            format!("--manifests={}", path("manifests")),
            format!("--address-file={}", path("addresses.json")),
        ]
    }
}
