//! Makes small meshes whose objects often meet: few names, every kind, all that Istio takes and people write.

mod entries;
mod gateway;
mod policies;
mod routes;
mod services;
mod words;

use lazymesh_core::{DefaultExportTo, LabelSelector, Mesh as Settings, Workload};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::mesh::{Mesh, applied};
use super::spelling;

/// Namespace of the workload that calls.
const HOME: &str = "a";
const CALLER: &str = "w";
const CALLER_POD: &str = "w-0";
const CALLER_ADDRESS: &str = "10.1.0.1";

/// A mesh with a workload `a/w` that calls everything in it.
pub(super) fn mesh() -> impl Strategy<Value = Mesh> {
    let objects = prop::collection::vec(object(), 0..14);
    let default = || prop_oneof![6 => Just(Vec::new()), 1 => Just(vec![".".to_owned()])];
    let export_to = (default(), default(), default());
    let (registry_only, selects) = (prop::bool::weighted(0.2), prop::bool::weighted(0.1));
    (objects, registry_only, export_to, selects).prop_map(
        |(objects, registry_only, (services, virtual_services, destination_rules), selects)| {
            let default_export_to = DefaultExportTo {
                services,
                virtual_services,
                destination_rules,
            };
            let mut mesh = Mesh {
                name: "generated".to_owned(),
                settings: Settings {
                    default_export_to,
                    discovery_selectors: discovery_selectors(selects),
                    ..Settings::default()
                },
                registry_only,
                objects: applied(objects.into_iter().flatten().chain(always())),
                lenient: false,
                caller: Workload {
                    namespace: HOME.to_owned(),
                    name: CALLER.to_owned(),
                },
                learned: Vec::new(),
                calls: Vec::new(),
            };
            let calls = spelling::calls(&mesh).into_iter();
            mesh.calls = calls.filter(|call| mesh.can_dial(call)).collect();
            mesh
        },
    )
}

/// All namespaces, or all but `b`.
fn discovery_selectors(selects: bool) -> Vec<LabelSelector> {
    let selectors = match selects {
        true => json!([{"matchLabels": {"mesh": "on"}}]),
        false => json!([]),
    };
    serde_json::from_value(selectors).unwrap_or_default()
}

/// One object, with those that it makes sense with.
fn object() -> impl Strategy<Value = Vec<Value>> {
    let one = |strategy: BoxedStrategy<Value>| strategy.prop_map(|value| vec![value]).boxed();
    prop_oneof![
        6 => services::service(),
        3 => one(entries::entry()),
        6 => one(routes::virtual_service()),
        2 => one(routes::delegate()),
        2 => one(gateway::route()),
        1 => one(entries::workload()),
        3 => one(policies::destination_rule()),
        1 => one(policies::sidecar()),
        1 => one(policies::peer_authentication()),
        1 => one(policies::filter()),
        1 => one(policies::patch()),
        1 => one(policies::plugin()),
        1 => one(policies::request_authentication()),
    ]
}

/// What every mesh has: the namespaces, and the pod that calls.
fn always() -> impl Iterator<Item = Value> {
    let namespaces = words::NAMESPACES.iter().map(|name| {
        let mesh = if *name == "b" { "off" } else { "on" };
        let labels = json!({"kubernetes.io/metadata.name": name, "lazymesh.io/mode": "enforce", "mesh": mesh});
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    });
    namespaces.chain([json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": CALLER_POD, "namespace": HOME,
            "labels": {"app": CALLER, "service.istio.io/canonical-name": CALLER, "security.istio.io/tlsMode": "istio"},
        },
        "spec": {"serviceAccountName": CALLER, "containers": [{"name": "istio-proxy"}]},
        "status": {"phase": "Running", "podIP": CALLER_ADDRESS},
    })])
}

/// Metadata of an object of Istio's or Kubernetes': where it is, how it is called, and how old it is.
fn metadata(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    (select(&words::NAMESPACES), select(names), 1..4u8).prop_map(|(namespace, name, day)| {
        json!({
            "name": name, "namespace": namespace,
            "creationTimestamp": format!("2026-01-0{day}T00:00:00Z"),
        })
    })
}
