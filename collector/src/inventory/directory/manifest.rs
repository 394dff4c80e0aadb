//! One file of manifests: any number of documents, each an object or a list of objects.

use std::path::Path;

use lazymesh_core::Object;
use serde_json::Value;

use crate::inventory::directory::Problem;
use crate::inventory::directory::yaml::{self, Document};

/// All objects of a file that lazymesh reads, in their order; or the first thing that is wrong with it.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Vec<Object>, Problem> {
    let documents = yaml::documents(text).map_err(|error| Problem::Malformed {
        path: path.to_owned(),
        document: error.document,
        line: error.line,
        reason: error.reason,
    })?;
    let mut objects = Vec::new();
    for Document {
        number,
        line,
        value,
    } in documents
    {
        collect(value, &mut objects).map_err(|reason| Problem::Malformed {
            path: path.to_owned(),
            document: number,
            line,
            reason,
        })?;
    }
    Ok(objects)
}

fn collect(mut value: Value, objects: &mut Vec<Object>) -> Result<(), String> {
    let Some(items) = take_items(&mut value)? else {
        objects.extend(Object::from_value(value).map_err(|error| error.to_string())?);
        return Ok(());
    };
    for (index, mut item) in items.into_iter().enumerate() {
        inherit_type(&value, &mut item);
        collect(item, objects).map_err(|reason| format!("items[{index}]: {reason}"))?;
    }
    Ok(())
}

/// The items of a `List` (as `kubectl get -o yaml` writes it) or of a `ServiceList` (as the API does).
fn take_items(value: &mut Value) -> Result<Option<Vec<Value>>, String> {
    let is_list = value
        .get("kind")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind.ends_with("List"));
    if !is_list {
        return Ok(None);
    }
    match value.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => Ok(Some(items)),
        None | Some(Value::Null) => Ok(Some(Vec::new())),
        Some(_) => Err("items: a list is expected".to_owned()),
    }
}

/// Items of a `ServiceList` do not repeat that they are Services.
fn inherit_type(list: &Value, item: &mut Value) {
    let (Some(version), Some(kind)) = (list.get("apiVersion"), list.get("kind")) else {
        return;
    };
    let item_kind = kind.as_str().and_then(|kind| kind.strip_suffix("List"));
    if let (Some(item), Some(kind)) = (
        item.as_object_mut(),
        item_kind.filter(|kind| !kind.is_empty()),
    ) {
        item.entry("apiVersion").or_insert_with(|| version.clone());
        item.entry("kind").or_insert_with(|| kind.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Result<Vec<String>, String> {
        parse(Path::new("mesh.yaml"), text)
            .map(|objects| {
                objects
                    .iter()
                    .map(|object| object.key().to_string())
                    .collect()
            })
            .map_err(|problem| problem.to_string())
    }

    #[test]
    fn objects_are_found_in_documents_and_lists() {
        let check = |text: &str, expect: &[&str]| assert_eq!(keys(text).unwrap(), expect, "{text}");
        check("", &[]);
        check(
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n\
             apiVersion: v1\nkind: Service\nmetadata: {name: b, namespace: a}\n",
            &["Namespace a", "Service a/b"],
        );
        check(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n",
            &[],
        );
        check(
            "apiVersion: v1\nkind: List\nitems:\n\
             - {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n\
             - {apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}\n\
             - {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Namespace, metadata: {name: b}}]}\n",
            &["Namespace a", "Namespace b"],
        );
        check(
            r#"{"apiVersion": "v1", "kind": "NamespaceList", "items": [{"metadata": {"name": "a"}}]}"#,
            &["Namespace a"],
        );
        check("apiVersion: v1\nkind: List\n", &[]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let check = |text: &str, expect: &str| {
            let problem = keys(text).unwrap_err();
            assert!(problem.starts_with(expect), "{problem}");
        };
        check("a: [", "mesh.yaml:");
        check(
            "---\n\nhello: world\n",
            "mesh.yaml:3: document 1: not an object",
        );
        check(
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Service\nmetadata: 7\n",
            "mesh.yaml:5: document 2: Service: ",
        );
        check(
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n- 7\n",
            "mesh.yaml:1: document 1: items[1]: not an object",
        );
        check(
            "apiVersion: v1\nkind: List\nitems: 7\n",
            "mesh.yaml:1: document 1: items: ",
        );
    }
}
