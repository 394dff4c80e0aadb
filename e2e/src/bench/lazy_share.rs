//! Share of the services of real applications that stay in every scope: what core plans for a workload that has learned
//! nothing, on each application alone and on all of them in one mesh.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use lazymesh_core::{
    Graph, Inventory, Limits, Mesh, Object, Plan, Policy, Subject, Workload, plan,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::row::Row;

const CORPUS: &str = include_str!("../../corpus/services.jsonl");
/// Namespace of the workload that sees what is in every scope.
const CALLERS: &str = "lazy-share-callers";

/// A Service of the corpus.
#[derive(Clone, Deserialize)]
struct Service {
    application: String,
    namespace: String,
    name: String,
    headless: bool,
    #[serde(rename = "type")]
    kind: String,
    ports: Value,
}

pub(super) fn run() -> Result<Vec<Row>> {
    let services: Vec<Service> = CORPUS
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("the corpus")?;
    let mut applications: BTreeMap<&str, Vec<Service>> = BTreeMap::new();
    for service in &services {
        let application = applications.entry(&service.application).or_default();
        application.push(service.clone());
    }
    let mut rows = Vec::new();
    let mut total = 0;
    for (name, services) in applications {
        let eager = in_every_scope(&services)?;
        total += eager;
        rows.push(row(name, eager, services.len()));
    }
    rows.push(row("total", total, services.len()));
    // Applications that share a namespace's name do not share the namespace.
    let apart: Vec<Service> = services.into_iter().map(Service::apart).collect();
    rows.push(row("one-mesh", in_every_scope(&apart)?, apart.len()));
    Ok(rows)
}

/// Beside a full scope, which has them all.
fn row(name: &str, eager: usize, services: usize) -> Row {
    Row::new(name, eager as f64 / services as f64, "of services", 1.0)
}

/// How many of these services a workload sees that has learned nothing.
fn in_every_scope(services: &[Service]) -> Result<usize> {
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
    let of_workload = plan(
        &inventory,
        &graph,
        &policy,
        &Subject::Workload(caller.clone()),
    );
    let of_namespace = plan(
        &inventory,
        &graph,
        &policy,
        &Subject::Namespace(CALLERS.to_owned()),
    );
    let (Plan::Publish(scope), Plan::Publish(default)) = (of_workload, of_namespace) else {
        anyhow::bail!("expected a Sidecar of the workload and of its namespace");
    };
    ensure!(
        scope.hosts == default.hosts,
        "expected the scope of a workload that has learned nothing to be its namespace's"
    );
    let hosts = services
        .iter()
        .filter_map(|service| inventory.egress_host_of(&service.namespace, &service.name));
    Ok(hosts.filter(|host| scope.hosts.contains(host)).count())
}

impl Service {
    /// In a namespace that only its application has.
    fn apart(self) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_application_is_a_part_of_the_total() -> Result<()> {
        let rows = run()?;
        let share = |name: &str| {
            rows.iter()
                .find(|row| row.name == name)
                .map(|row| row.value)
        };
        let (total, one_mesh) = (share("total"), share("one-mesh"));
        println!("total {total:?}, one-mesh {one_mesh:?}");
        assert_eq!(rows.len(), 18 + 2);
        // What is declared in one mesh can only keep more of another application's services.
        assert!(total.is_some() && total <= one_mesh);
        assert!(rows.iter().all(|row| (0.0..=1.0).contains(&row.value)));
        Ok(())
    }
}
