//! What is left of lazymesh in Kubernetes, whatever its kind.

use std::collections::HashSet;

use anyhow::Result;
use kube::{
    Api, ResourceExt as _,
    api::{DynamicObject, ListParams},
    discovery::{Discovery, verbs},
};
use lazymesh_e2e::lab::Lab;

/// Labels of what the collector made, and of what the chart did.
const OURS: [(&str, &str); 2] = [
    ("app.kubernetes.io/managed-by", "lazymesh"),
    ("app.kubernetes.io/part-of", "lazymesh"),
];
/// Field manager of the collector and of `lazymesh uninstall`.
const MANAGER: &str = "lazymesh";
/// Annotation of what helm keeps, and start of the name of where it remembers a release.
const RELEASE: (&str, &str) = ("meta.helm.sh/release-name", "sh.helm.release.");

/// Every object that lazymesh, its collector or its release has made or changed.
pub(crate) async fn leftovers(lab: &Lab) -> Result<Vec<String>> {
    let client = lab.cluster().client();
    let mut all = Vec::new();
    for group in Discovery::new(client.clone()).run().await?.groups() {
        for (kind, capabilities) in group.recommended_resources() {
            if capabilities.supports_operation(verbs::LIST) {
                let objects = Api::<DynamicObject>::all_with(client.clone(), &kind);
                let objects = objects.list(&ListParams::default()).await?.items;
                all.extend(
                    objects
                        .into_iter()
                        .map(|object| (kind.kind.clone(), object)),
                );
            }
        }
    }
    let there: HashSet<String> = all.iter().filter_map(|(_, object)| object.uid()).collect();
    let left = all
        .iter()
        .filter(|(_, object)| is_ours(object) && !is_garbage(object, &there));
    Ok(left.map(|(kind, object)| describe(kind, object)).collect())
}

fn is_ours(object: &DynamicObject) -> bool {
    let labels = object.labels();
    OURS.iter()
        .any(|(key, value)| labels.get(*key).is_some_and(|it| it == value))
        || object
            .managed_fields()
            .iter()
            .any(|fields| fields.manager.as_deref() == Some(MANAGER))
        || object.annotations().contains_key(RELEASE.0)
        || object.name_any().starts_with(RELEASE.1)
}

/// Whether Kubernetes' garbage collector, which the lab has not, would take it away: its owner is gone.
fn is_garbage(object: &DynamicObject, there: &HashSet<String>) -> bool {
    let owners = object.owner_references();
    !owners.is_empty() && owners.iter().all(|owner| !there.contains(&owner.uid))
}

fn describe(kind: &str, object: &DynamicObject) -> String {
    format!(
        "{kind} {}/{}",
        object.namespace().unwrap_or_default(),
        object.name_any()
    )
}
