//! Converts what the API server sends to what core reads.

use std::collections::BTreeMap;

use kube::ResourceExt;
use kube::api::DynamicObject;
use lazymesh_core::{Kind, MANAGED_BY, Object, ObjectError};
use serde_json::{Map, Value, json};

use crate::kubernetes::kinds::{ApiKind, POD};
use crate::publish::kubernetes::owner::REVISION;

const EXPORT_TO: &str = "networking.istio.io/exportTo";

/// Reads an object, for the workloads of one revision if one is given. None for what that revision's istiod does not
/// read.
pub(crate) fn read(
    kind: &ApiKind,
    object: DynamicObject,
    revision: Option<&str>,
) -> Result<Option<Object>, ObjectError> {
    let is_of_another = |theirs| is_of_another(theirs, revision);
    if kind.is_istio() && is_of_another(object.labels().get(REVISION)) {
        return Ok(None);
    }
    // The injector notes on every pod which revision's sidecar it got.
    let foreign = *kind == POD && is_of_another(object.annotations().get(REVISION));
    let metadata = metadata(kind, &object);
    let mut document = match object.data {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    // Lists leave them out of their items.
    document.insert("apiVersion".to_owned(), json!(kind.api_version()));
    document.insert("kind".to_owned(), json!(kind.kind));
    document.insert("metadata".to_owned(), metadata);
    let mut read = Object::from_value(Value::Object(document))?;
    if let Some(Object::Pod(pod)) = &mut read {
        pod.foreign = foreign;
    }
    Ok(read)
}

fn metadata(kind: &ApiKind, object: &DynamicObject) -> Value {
    let mut annotations = Map::new();
    if let Some(namespaces) = object.annotations().get(EXPORT_TO) {
        annotations.insert(EXPORT_TO.to_owned(), json!(namespaces));
    }
    json!({
        "name": object.name_any(),
        "namespace": object.namespace(),
        "labels": labels(kind, object),
        "annotations": annotations,
        "ownerReferences": object.owner_references(),
        "creationTimestamp": object.creation_timestamp(),
    })
}

/// The labels that count: one that only says which release an object is of must not have a mesh planned again.
fn labels(kind: &ApiKind, object: &DynamicObject) -> BTreeMap<String, String> {
    let all = matches!(
        kind.core,
        Some(Kind::Namespace | Kind::Pod | Kind::EndpointSlice)
    );
    let mut labels = object.labels().clone();
    labels.retain(|name, _| all || name == MANAGED_BY.0);
    labels
}

fn is_of_another(theirs: Option<&String>, ours: Option<&str>) -> bool {
    ours.zip(theirs)
        .is_some_and(|(ours, theirs)| ours != theirs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::kinds::{SERVICE, SIDECAR};

    fn pod(revision: Option<&str>) -> Object {
        let pod = json!({
            "metadata": {
                "name": "a", "namespace": "shop", "managedFields": [{ "manager": "kubelet" }],
                "creationTimestamp": "2026-01-02T03:04:05Z",
                "labels": { "app": "a" },
                "ownerReferences": [{ "apiVersion": "batch/v1", "kind": "Job", "name": "b", "uid": "1" }],
                "annotations": { REVISION: "blue", "other": "x" },
            },
            "spec": { "serviceAccountName": "a" },
        });
        read(&POD, serde_json::from_value(pod).unwrap(), revision)
            .unwrap()
            .unwrap()
    }

    #[test]
    fn an_item_of_a_list_is_an_object() {
        let Object::Pod(pod) = pod(None) else {
            panic!("a Pod")
        };
        assert_eq!(pod.metadata.creation_timestamp, "2026-01-02T03:04:05Z");
        assert_eq!(pod.spec.service_account_name, "a");
        assert_eq!(pod.metadata.owner_references[0].name, "b");
    }

    #[test]
    fn a_label_that_says_nothing_is_no_change() {
        let service = |labels: Value| {
            let service =
                json!({ "metadata": { "name": "a", "namespace": "shop", "labels": labels } });
            read(&SERVICE, serde_json::from_value(service).unwrap(), None).unwrap()
        };
        let plain = service(json!({ "app": "a" }));
        assert_eq!(service(json!({ "app": "a", "version": "2" })), plain);
        assert_ne!(service(json!({ MANAGED_BY.0: MANAGED_BY.1 })), plain);
    }

    #[test]
    fn istio_objects_of_another_revision_are_not_there() {
        let is_read = |kind: &ApiKind, ours| {
            let object = json!({
                "metadata": { "name": "a", "namespace": "shop", "labels": { REVISION: "blue" } },
            });
            read(kind, serde_json::from_value(object).unwrap(), ours)
                .unwrap()
                .is_some()
        };
        assert!(is_read(&SIDECAR, None));
        assert!(is_read(&SIDECAR, Some("blue")));
        assert!(!is_read(&SIDECAR, Some("green")));
        assert!(is_read(&SERVICE, Some("green")));
    }

    #[test]
    fn pods_of_another_revision_are_endpoints_only() {
        let has_workload = |revision| {
            let Object::Pod(pod) = pod(revision) else {
                panic!("a Pod")
            };
            assert_eq!(pod.metadata.labels["app"], "a");
            !pod.foreign
        };
        assert!(has_workload(None));
        assert!(has_workload(Some("blue")));
        assert!(!has_workload(Some("green")));
    }
}
