//! Tells which objects are ours, and whether one of them still is as we left it.

use std::collections::BTreeMap;

use kube::ResourceExt;
use kube::api::DynamicObject;
use lazymesh_core::MANAGED_BY;
use serde_json::{Value, json};

/// Field manager of everything that lazymesh applies.
pub(crate) const FIELD_MANAGER: &str = "lazymesh";
/// Label by which an object is for the control plane of one revision only.
pub(crate) const REVISION: &str = "istio.io/rev";

/// The selector of everything that lazymesh owns.
pub(crate) fn selector() -> String {
    format!("{}={}", MANAGED_BY.0, MANAGED_BY.1)
}

/// One collector a revision: each owns what carries our label, unless it is for another revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The revision that this collector works for; none for all.
    pub(crate) revision: Option<String>,
}

impl Owner {
    pub(crate) fn owns(&self, object: &DynamicObject) -> bool {
        object
            .metadata
            .labels
            .as_ref()
            .is_some_and(|labels| self.owns_labels(labels))
    }

    fn owns_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let ours = labels
            .get(MANAGED_BY.0)
            .is_some_and(|owner| owner == MANAGED_BY.1);
        let revision = self.revision.as_ref().zip(labels.get(REVISION));
        ours && revision.is_none_or(|(ours, theirs)| ours == theirs)
    }

    /// Makes an object one that only our revision's control plane reads.
    pub(crate) fn sign(&self, object: &mut Value) {
        if let Some(revision) = &self.revision {
            object["metadata"]["labels"][REVISION] = json!(revision);
        }
    }
}

/// What is compared of an object that is in place.
pub(crate) fn content(object: &DynamicObject) -> Value {
    let spec = object.data.get("spec").cloned().unwrap_or_default();
    json!({ "metadata": { "labels": object.labels() }, "spec": spec })
}

/// Whether what is in place is what is desired. Fields that others added are theirs, except a selector: it
/// changes for whom the whole object is.
pub(crate) fn is_as_desired(live: &Value, desired: &Value) -> bool {
    let is_selective = |object: &Value| {
        let selector = object.pointer("/spec/workloadSelector");
        selector.is_some_and(|selector| !selector.is_null())
    };
    let parts = ["/metadata/labels", "/spec"];
    is_selective(live) == is_selective(desired)
        && parts
            .into_iter()
            .all(|part| match (live.pointer(part), desired.pointer(part)) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(live), Some(desired)) => covers(live, desired),
            })
}

fn covers(live: &Value, desired: &Value) -> bool {
    match (live, desired) {
        (Value::Object(live), Value::Object(desired)) => desired
            .iter()
            .all(|(key, desired)| live.get(key).is_some_and(|live| covers(live, desired))),
        (Value::Array(live), Value::Array(desired)) => {
            live.len() == desired.len()
                && live
                    .iter()
                    .zip(desired)
                    .all(|(live, desired)| covers(live, desired))
        }
        _ => live == desired,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_carries_our_label_is_ours() {
        let check = |revision: Option<&str>, labels: &[(&str, &str)], expect| {
            let owner = Owner {
                revision: revision.map(str::to_owned),
            };
            let labels = labels
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            assert_eq!(owner.owns_labels(&labels.collect()), expect);
        };
        let ours = MANAGED_BY;
        check(None, &[], false);
        check(None, &[(ours.0, "Helm")], false);
        check(None, &[ours], true);
        check(None, &[ours, (REVISION, "a")], true);
        check(Some("a"), &[ours], true);
        check(Some("a"), &[ours, (REVISION, "a")], true);
        check(Some("a"), &[ours, (REVISION, "b")], false);
    }

    #[test]
    fn what_others_add_is_theirs_and_what_they_change_is_not() {
        let desired = json!({
            "metadata": { "labels": { "a": "1" }, "name": "x" },
            "spec": { "egress": [{ "hosts": ["a/b"] }] },
        });
        let check = |labels: Value, spec: Value, expect| {
            let live = json!({ "metadata": { "labels": labels }, "spec": spec });
            assert_eq!(is_as_desired(&live, &desired), expect, "{live}");
        };
        let labels = || json!({ "a": "1" });
        let spec = || json!({ "egress": [{ "hosts": ["a/b"] }] });
        check(labels(), spec(), true);
        check(json!({ "a": "1", "b": "2" }), spec(), true);
        check(json!({ "a": "2" }), spec(), false);
        check(json!({}), spec(), false);
        let with = |key: &str, value: Value| {
            let mut spec = spec();
            spec[key] = value;
            spec
        };
        check(labels(), with("outboundTrafficPolicy", json!({})), true);
        check(
            labels(),
            with("workloadSelector", json!({ "labels": {} })),
            false,
        );
        check(labels(), with("workloadSelector", Value::Null), true);
        check(
            labels(),
            json!({ "egress": [{ "hosts": ["a/b", "*/*"] }] }),
            false,
        );
        check(
            labels(),
            json!({ "egress": [{ "hosts": ["a/b"] }, { "hosts": ["*/*"] }] }),
            false,
        );
        check(labels(), json!({}), false);
    }
}
