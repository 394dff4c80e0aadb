//! The Services of real applications, and which of them core plans for a workload that has learned nothing.

use anyhow::{Context, Result, ensure};
use lazymesh_core::{
    Graph, Inventory, Limits, Mesh, Object, Plan, Policy, Subject, Workload, plan,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const SERVICES: &str = include_str!("../../corpus/services.jsonl");
/// Namespace of the workload that sees what is in every scope.
const CALLERS: &str = "corpus-callers";

/// A Service of the corpus.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Service {
    pub(super) application: String,
    namespace: String,
    name: String,
    pub(super) headless: bool,
    #[serde(rename = "type")]
    kind: String,
    pub(super) ports: Vec<Port>,
}

/// As Kubernetes has it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Port {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(rename = "port")]
    pub(super) number: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) app_protocol: Option<String>,
}

/// All of them.
pub(super) fn services() -> Result<Vec<Service>> {
    let services = SERVICES.lines().map(serde_json::from_str);
    services.collect::<Result<_, _>>().context("the corpus")
}

/// Of each of these services, all of one mesh, whether a workload sees it that has learned nothing.
pub(super) fn in_every_scope(services: &[Service]) -> Result<Vec<bool>> {
    let mut inventory = Inventory::new(Mesh::default());
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": CALLERS, "labels": { "lazymesh.io/mode": "enforce" } },
    });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "namespace": CALLERS, "name": "caller-0",
            "labels": { "service.istio.io/canonical-name": "caller" },
        },
    });
    for value in [namespace, pod]
        .into_iter()
        .chain(services.iter().enumerate().map(Service::manifest))
    {
        let object = Object::from_value(value)?.context("a kind that is not read")?;
        inventory.apply(object);
    }
    let (graph, policy) = (Graph::new(Limits::default()), Policy::default());
    let caller = Workload::new(CALLERS, "caller")?;
    let of = |subject| plan(&inventory, &graph, &policy, &subject);
    let of_workload = of(Subject::Workload(caller));
    let of_namespace = of(Subject::Namespace(CALLERS.to_owned()));
    let (Plan::Publish(scope), Plan::Publish(default)) = (of_workload, of_namespace) else {
        anyhow::bail!("expected a Sidecar of the workload and of its namespace");
    };
    ensure!(
        scope.hosts == default.hosts,
        "expected the scope of a workload that has learned nothing to be its namespace's"
    );
    let is_there = |service: &Service| {
        let host = inventory.egress_host_of(&service.namespace, &service.name);
        host.is_some_and(|host| scope.hosts.contains(&host))
    };
    Ok(services.iter().map(is_there).collect())
}

impl Service {
    /// In a namespace that only its application has: those that share a namespace's name do not share the namespace.
    pub(super) fn apart(self) -> Self {
        Self {
            namespace: format!("{}-{}", self.application, self.namespace),
            ..self
        }
    }

    /// With the cluster IP of the `index`th service.
    fn manifest((index, service): (usize, &Self)) -> Value {
        let [_, _, high, low] = (index as u32 + 1).to_be_bytes();
        let address = if service.headless {
            "None".to_owned()
        } else {
            format!("10.96.{high}.{low}")
        };
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "namespace": service.namespace, "name": service.name },
            "spec": { "type": service.kind, "clusterIP": address, "ports": service.ports },
        })
    }
}
