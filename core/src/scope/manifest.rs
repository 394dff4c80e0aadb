use serde_json::{Value, json};

use super::SidecarSpec;
use crate::inventory::{CANONICAL_NAME_LABEL, MANAGED_BY};

/// Istio's way to write "nothing": an egress listener without hosts is refused. Beside other hosts it would take
/// them out again.
const NOTHING: &str = "~/*";

impl SidecarSpec {
    /// The Sidecar as Kubernetes takes it. The same spec gives the same bytes: keys are in alphabetical order,
    /// hosts are sorted.
    #[must_use]
    pub fn manifest(&self) -> Value {
        let mut hosts: Vec<_> = self.hosts.iter().map(ToString::to_string).collect();
        hosts.sort_unstable();
        if hosts.is_empty() {
            hosts.push(NOTHING.to_owned());
        }
        let mut spec = json!({ "egress": [{ "hosts": hosts }] });
        if let Some(workload) = &self.workload {
            spec["workloadSelector"] = json!({ "labels": { CANONICAL_NAME_LABEL: workload } });
        }
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "Sidecar",
            "metadata": {
                "labels": { MANAGED_BY.0: MANAGED_BY.1 },
                "name": self.name,
                "namespace": self.namespace,
            },
            "spec": spec,
        })
    }
}
