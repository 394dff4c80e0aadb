//! Finds the Sidecar of a person's that rules instead of ours, and names ours.

use std::collections::BTreeMap;

use crate::inventory::{CANONICAL_NAME_LABEL, Inventory, Pod};
use crate::names::{Workload, dns, fnv1a};
use crate::resource::ObjectKey;

/// Name of the Sidecar of a namespace's workloads that have none of their own.
pub const DEFAULT_NAME: &str = "lazymesh-default";
const PREFIX: &str = "lazymesh-";

/// The user's Sidecar that rules a workload's pods.
pub(crate) fn user_sidecar_of(inventory: &Inventory, workload: &Workload) -> Option<ObjectKey> {
    if inventory.user_sidecars.is_empty_in(&workload.namespace) {
        return of_mesh(inventory);
    }
    let name = sidecar_name(&workload.name);
    let mut pods: Vec<_> = inventory.pods.of(workload).map(|pod| &pod.labels).collect();
    let only_label = BTreeMap::from([(CANONICAL_NAME_LABEL.to_owned(), workload.name.clone())]);
    if pods.is_empty() {
        pods.push(&only_label);
    }
    inventory
        .user_sidecars
        .of_pods(&workload.namespace, &name, &pods)
        .or_else(|| of_mesh(inventory))
}

/// The user's Sidecar that rules a whole namespace.
pub(super) fn user_sidecar_of_namespace(
    inventory: &Inventory,
    namespace: &str,
) -> Option<ObjectKey> {
    inventory
        .user_sidecars
        .of_namespace(namespace, DEFAULT_NAME)
        .or_else(|| of_mesh(inventory))
}

fn of_mesh(inventory: &Inventory) -> Option<ObjectKey> {
    let root = &inventory.mesh().root_namespace;
    inventory.user_sidecars.of_mesh(root)
}

/// Whether a namespace has pods whose workload is left to a user's Sidecar that does not select them, as of the old
/// version when it selects the new one.
pub(super) fn leaves_pods_behind(inventory: &Inventory, namespace: &str) -> bool {
    if inventory.user_sidecars.is_empty_in(namespace) {
        return false;
    }
    let mut workloads = inventory.pods.workloads_in(namespace);
    workloads.any(|workload| {
        let left = |pod: &Pod| !inventory.user_sidecars.selects(namespace, &pod.labels);
        user_sidecar_of(inventory, workload).is_some() && inventory.pods.of(workload).any(left)
    })
}

/// Name of a workload's Sidecar: `lazymesh-<workload>`, where that is a name of an object and not the
/// namespace's own; else with a hash in place of what was lost.
#[must_use]
pub fn sidecar_name(workload: &str) -> String {
    let name = format!("{PREFIX}{workload}");
    if dns::is_object_name(&name) && name != DEFAULT_NAME {
        return name;
    }
    let plain: String = workload
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    format!("{PREFIX}{plain}-{:08x}", fnv1a(workload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_of_objects() {
        let check = |workload: &str, expect: &str| {
            let name = sidecar_name(workload);
            assert_eq!(name, expect);
            assert!(dns::is_object_name(&name));
        };
        check("reviews", "lazymesh-reviews");
        check("reviews.v1", "lazymesh-reviews.v1");
        check("default", "lazymesh-default-933b5bde");
        check("My_App", "lazymesh-my-app-47e2d2b7");
        check("a.-b", "lazymesh-a--b-83c55149");
    }
}
