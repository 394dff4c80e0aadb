//! What is said to the oracle and by it, as e2e/tools/istio/istiod-oracle reads and writes it.

use std::collections::{BTreeMap, BTreeSet};

use lazymesh_core::Inventory;
use lazymesh_envoyfilters::{Attachment, IstioVersion};
use lazymesh_protocol::FilterConfig;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::{Call, Speaks};
use super::mesh::Mesh;
use super::scope::{HOME, Scope};

#[derive(Serialize)]
pub(super) struct Question {
    mesh_config: String,
    objects: Vec<Value>,
    lenient: bool,
    lazymesh: Vec<Value>,
    caller: Caller,
    scopes: Vec<Value>,
    calls: Vec<Dialled>,
}

#[derive(Serialize)]
struct Caller {
    namespace: String,
    service_account: String,
    labels: BTreeMap<String, String>,
    address: String,
}

#[derive(Serialize)]
struct Dialled {
    address: String,
    port: u16,
    host: String,
    protocol: Speaks,
    path: String,
    headers: BTreeMap<String, String>,
}

impl Question {
    pub(super) fn new(inventory: &Inventory, mesh: &Mesh, scopes: &[Scope]) -> Self {
        Self {
            mesh_config: mesh.mesh_config().to_string(),
            objects: discovered(inventory, mesh),
            lenient: mesh.lenient,
            lazymesh: lazymesh(inventory, mesh),
            caller: Caller {
                namespace: mesh.caller.namespace.clone(),
                service_account: mesh.service_account(),
                labels: mesh.labels(),
                address: mesh.address(),
            },
            scopes: scopes
                .iter()
                .filter_map(|scope| scope.sidecar.clone())
                .collect(),
            calls: mesh.calls.iter().map(dialled).collect(),
        }
    }
}

/// The objects without those of Istio's that discoverySelectors keep from istiod: its tests' store does not ask them.
fn discovered(inventory: &Inventory, mesh: &Mesh) -> Vec<Value> {
    let namespaces: BTreeSet<_> = inventory.namespaces().collect();
    let all = mesh.settings.discovery_selectors.is_empty();
    let is_there = |object: &&Value| {
        let namespace = object["metadata"]["namespace"].as_str();
        let is_istio = (object["apiVersion"].as_str()).is_some_and(|it| it.contains("istio.io/"));
        all || !is_istio || namespace.is_none_or(|namespace| namespaces.contains(namespace))
    };
    mesh.objects.iter().filter(is_there).cloned().collect()
}

fn dialled(call: &Call) -> Dialled {
    Dialled {
        address: call.destination.ip().to_string(),
        port: call.destination.port(),
        host: call.host.clone(),
        protocol: call.speaks,
        path: call.path.clone(),
        headers: call.headers.clone(),
    }
}

/// The collector's Service, and the port anchor as it is shipped, in a namespace that is in the mesh as the caller's is.
fn lazymesh(inventory: &Inventory, mesh: &Mesh) -> Vec<Value> {
    let mut attachment =
        Attachment::new(IstioVersion::V1_31, "oci://lazymesh", FilterConfig::new(""));
    attachment.http_ports = inventory.http_ports();
    let mut objects = attachment.objects();
    objects.retain(|object| object["kind"] == "Service");
    for (object, address) in objects.iter_mut().zip(["10.127.0.1"]) {
        object["spec"]["clusterIP"] = json!(address);
    }
    objects.push(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "annotations": {"networking.istio.io/exportTo": "*"},
            "name": "lazymesh-collector",
            "namespace": HOME,
        },
        "spec": {"clusterIP": "10.127.0.2", "ports": [{"name": "http", "port": 8480}]},
    }));
    let namespace = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": HOME, "labels": mesh.namespace_labels()},
    });
    // istiod looks at what is in a namespace once it is there.
    [namespace].into_iter().chain(objects).collect()
}

#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) full: Vec<Full>,
    #[serde(default)]
    pub(super) lazy: Vec<Scoped>,
}

/// What becomes of a call in the full scope.
#[derive(Debug, Deserialize)]
pub(super) struct Full {
    pub(super) kind: FullKind,
    #[serde(default)]
    pub(super) virtual_host: String,
    #[serde(default)]
    pub(super) clusters: Vec<Target>,
    #[serde(default)]
    pub(super) shaped: bool,
    pub(super) plain: Option<Plain>,
    /// Passing it through would lead to the same place, in the same way.
    #[serde(default)]
    pub(super) dialled: bool,
    #[serde(default)]
    pub(super) detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FullKind {
    Routed,
    Answered,
    Connected,
    Passed,
    Closed,
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) struct Target {
    pub(super) cluster: String,
    pub(super) weight: u32,
    pub(super) known: bool,
}

/// The service behind a plain default route, or a plain TCP cluster.
#[derive(Debug, Deserialize)]
pub(super) struct Plain {
    pub(super) addresses: Option<Vec<String>>,
    pub(super) endpoints: Option<Vec<String>>,
    pub(super) mutual: bool,
    #[serde(default)]
    pub(super) server_name: String,
    #[serde(default)]
    pub(super) identities: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Scoped {
    pub(super) verdicts: Vec<Verdict>,
    pub(super) own: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Verdict {
    /// What the filter asks about it; `None` where no catch-all takes it.
    #[serde(default)]
    pub(super) asks: Option<Speaks>,
    #[serde(default)]
    pub(super) differs: Vec<String>,
    /// The port anchor alone does that, in a full scope too.
    #[serde(default)]
    pub(super) anchored: bool,
    /// A listener of all addresses takes it, where the full scope has one of the address that was dialled.
    #[serde(default)]
    pub(super) shared: bool,
}

impl Full {
    /// For a person.
    pub(super) fn describe(&self) -> String {
        let clusters: Vec<_> = self
            .clusters
            .iter()
            .map(|target| format!("{} {}", target.weight, target.cluster))
            .collect();
        let words = [
            format!("{:?}", self.kind).to_lowercase(),
            self.virtual_host.clone(),
            clusters.join(" + "),
            if self.shaped { "shaped" } else { "" }.to_owned(),
            self.detail.clone(),
        ];
        words
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(", ")
    }
}
