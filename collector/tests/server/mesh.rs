//! Directories as an operator would have them.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

const SERVICES: &str = "
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {clusterIP: 10.96.0.10, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: shop}
spec: {clusterIP: 10.96.0.11, ports: [{name: http, port: 80}]}
";

/// Directories of manifests, of data and of published Sidecars.
pub(crate) struct Mesh {
    root: TempDir,
}

impl Mesh {
    /// Namespace `shop` with two services, enforced.
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let mesh = Self { root };
        fs::create_dir(mesh.path("manifests")).expect("a directory");
        fs::write(mesh.path("manifests/services.yaml"), SERVICES).expect("a file");
        mesh.label_shop("enforce");
        mesh
    }

    pub(crate) fn label_shop(&self, mode: &str) {
        self.label(&format!("lazymesh.io/mode: {mode}"));
    }

    /// Enforces so many of a hundred workloads of `shop`.
    pub(crate) fn label_canary(&self, percent: u8) {
        self.label(&format!(
            "lazymesh.io/mode: enforce, lazymesh.io/enforce-percent: '{percent}'"
        ));
    }

    fn label(&self, labels: &str) {
        let namespace = format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: shop, labels: {{{labels}}}}}}}"
        );
        fs::write(self.path("manifests/shop.yaml"), namespace).expect("a file");
    }

    /// Gives a namespace one pod, of this workload; no name, no pod.
    pub(crate) fn run_pod(&self, namespace: &str, workload: Option<&str>) {
        let path = self.path(&format!("manifests/pod-of-{namespace}.yaml"));
        let Some(workload) = workload else {
            return fs::remove_file(path).expect("a file");
        };
        let pod = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: pod, namespace: {namespace}, \
             labels: {{service.istio.io/canonical-name: {workload}}}}}, status: {{phase: Running}}}}"
        );
        fs::write(path, pod).expect("a file");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The Sidecar of a workload in `shop` as it is published, or nothing.
    pub(crate) fn sidecar(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(&format!("sidecars/shop/{name}.yaml"))).ok()
    }
}
