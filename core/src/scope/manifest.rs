//! Writes a Sidecar as Kubernetes takes it, and reads what one brings into scope.
//!
//! Besides routes a scope may have hosts of which only the clusters are there. A Sidecar can say that: an egress
//! listener with a port of its own brings clusters like any other, but routes only for that port, and one that captures
//! its traffic has no socket. Of protocol `HTTP_PROXY` it takes the services' ports as they are.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{EgressScope, SidecarSpec};
use crate::inventory::{CANONICAL_NAME_LABEL, MANAGED_BY};

/// Istio's way to write "nothing": an egress listener without hosts is refused. Beside other hosts it would take
/// them out again.
const NOTHING: &str = "~/*";
/// Port of the listener that brings clusters: within Istio's own ports, so no application has it.
const CLUSTERS_PORT: u16 = 15079;

impl SidecarSpec {
    /// The Sidecar with all that it is to have.
    #[must_use]
    pub fn manifest(&self) -> Value {
        self.manifest_with(&EgressScope::whole(self))
    }

    /// The Sidecar with what it has on the way. The same gives the same bytes: keys are in alphabetical order, hosts
    /// are sorted.
    #[must_use]
    pub fn manifest_with(&self, scope: &EgressScope) -> Value {
        let mut spec = json!({ "egress": egress(scope) });
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

fn egress(scope: &EgressScope) -> Vec<Value> {
    let nothing = BTreeSet::from([NOTHING.to_owned()]);
    let routes = Some(&scope.routes).filter(|routes| !routes.is_empty());
    let clusters = Some(&scope.clusters).filter(|clusters| !clusters.is_empty());
    let clusters = clusters.map(|hosts| {
        json!({
            "bind": "127.0.0.1",
            "hosts": hosts,
            "port": { "name": "clusters", "number": CLUSTERS_PORT, "protocol": "HTTP_PROXY" },
        })
    });
    // Istio wants the listener without a port to be the last.
    let routes = json!({ "hosts": routes.unwrap_or(&nothing) });
    clusters.into_iter().chain([routes]).collect()
}

impl EgressScope {
    /// What a Sidecar brings into scope.
    #[must_use]
    pub fn of(sidecar: &Value) -> Self {
        let listeners = sidecar.pointer("/spec/egress").and_then(Value::as_array);
        let mut scope = Self::default();
        for listener in listeners.into_iter().flatten() {
            let hosts = listener["hosts"].as_array().into_iter().flatten();
            let hosts = hosts.filter_map(Value::as_str);
            let hosts = hosts.filter(|host| *host != NOTHING).map(str::to_owned);
            match listener.get("port") {
                None => scope.routes.extend(hosts),
                Some(_) => scope.clusters.extend(hosts),
            }
        }
        scope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_says_its_scope() {
        let check = |routes: &[&str], clusters: &[&str]| {
            let entries = |entries: &[&str]| entries.iter().map(ToString::to_string).collect();
            let given = EgressScope {
                routes: entries(routes),
                clusters: entries(clusters),
            };
            let sidecar = SidecarSpec::default().manifest_with(&given);
            assert_eq!(EgressScope::of(&sidecar), given);
            let last = sidecar["spec"]["egress"]
                .as_array()
                .and_then(|it| it.last());
            assert_eq!(
                last.unwrap().get("port"),
                None,
                "Istio refuses it elsewhere"
            );
        };
        check(&["a/x", "a/y"], &[]);
        check(&["a/x"], &["*/*"]);
        check(&[], &["a/y"]);
        check(&[], &[]);
    }
}
