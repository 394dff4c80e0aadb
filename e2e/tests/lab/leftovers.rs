//! What is left of lazymesh in Kubernetes, whatever its kind.

use std::collections::HashSet;

use anyhow::Result;
use kube::{
    Api, ResourceExt as _,
    api::{DynamicObject, ListParams},
    discovery::{Discovery, verbs},
};
use lazymesh_e2e::lab::Lab;

/// Label of what the collector makes.
const MANAGED: (&str, &str) = ("app.kubernetes.io/managed-by", "lazymesh");
/// Label of what the chart makes.
const PART: (&str, &str) = ("app.kubernetes.io/part-of", "lazymesh");
/// Field manager of the collector and of `lazymesh uninstall`.
const MANAGER: &str = "lazymesh";
/// Start of the name of where helm remembers a release.
const RELEASE: &str = "sh.helm.release.";

/// Every object that lazymesh, its chart or its release has made or changed.
pub(crate) async fn leftovers(lab: &Lab) -> Result<Vec<String>> {
    find(lab, |object| is_from_chart(object) || is_ours(object)).await
}

/// Those of them that the chart has made.
pub(crate) async fn from_chart(lab: &Lab) -> Result<Vec<String>> {
    find(lab, is_from_chart).await
}

async fn find(lab: &Lab, wanted: impl Fn(&DynamicObject) -> bool) -> Result<Vec<String>> {
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
        .filter(|(_, object)| wanted(object) && !is_garbage(object, &there));
    Ok(left.map(|(kind, object)| describe(kind, object)).collect())
}

fn is_ours(object: &DynamicObject) -> bool {
    let mut fields = object.managed_fields().iter();
    has(object, MANAGED) || fields.any(|fields| fields.manager.as_deref() == Some(MANAGER))
}

fn is_from_chart(object: &DynamicObject) -> bool {
    has(object, PART) || object.name_any().starts_with(RELEASE)
}

fn has(object: &DynamicObject, (key, value): (&str, &str)) -> bool {
    object.labels().get(key).is_some_and(|it| it == value)
}

/// Whether Kubernetes' garbage collector, which the lab has not, would take it away: its owner is gone.
fn is_garbage(object: &DynamicObject, there: &HashSet<String>) -> bool {
    let owners = object.owner_references();
    !owners.is_empty() && owners.iter().all(|owner| !there.contains(&owner.uid))
}

fn describe(kind: &str, object: &DynamicObject) -> String {
    let namespace = object.namespace().unwrap_or_default();
    format!("{kind} {namespace}/{}", object.name_any())
}
