//! One file of manifests: any number of documents, each an object or a list of objects.

use std::path::Path;

use lazymesh_core::{Object, ObjectError};
use serde_json::Value;

use crate::inventory::directory::Problem;
use crate::inventory::directory::yaml::{self, Document, SyntaxError, TEMPLATE};

/// What a file says.
#[derive(Debug, Default)]
pub(crate) struct Manifest {
    /// The objects that lazymesh reads, in their order.
    pub(crate) objects: Vec<Object>,
    /// What is wrong with the rest of it.
    pub(crate) problems: Vec<Problem>,
}

/// Reads a file. A document or item that is no good costs no other.
pub(crate) fn parse(path: &Path, text: &str) -> Manifest {
    let mut manifest = Manifest::default();
    for found in yaml::documents(text) {
        match found {
            Ok(Document {
                number,
                line,
                value,
                is_template,
            }) => {
                let mut errors = Vec::new();
                collect(value, "", &mut manifest.objects, &mut errors);
                let problems = errors
                    .into_iter()
                    .map(|error| error.at(path, number, line, is_template));
                manifest.problems.extend(problems);
            }
            Err(SyntaxError {
                document,
                line,
                reason,
            }) => manifest.problems.push(Problem::Malformed {
                path: path.to_owned(),
                document,
                line,
                reason,
            }),
        }
    }
    manifest
}

enum Unusable {
    /// It is for `kubectl create`, which makes up a name.
    Nameless(String),
    Malformed(String),
}

impl Unusable {
    fn at(self, path: &Path, document: usize, line: u64, is_template: bool) -> Problem {
        let path = path.to_owned();
        match self {
            Self::Nameless(place) => Problem::Nameless {
                path,
                document,
                line,
                place,
            },
            Self::Malformed(reason) => Problem::Malformed {
                path,
                document,
                line,
                reason: match is_template {
                    true => TEMPLATE.to_owned(),
                    false => reason,
                },
            },
        }
    }
}

/// `place`: where in its document the value is, empty for the document itself.
fn collect(mut value: Value, place: &str, objects: &mut Vec<Object>, unusable: &mut Vec<Unusable>) {
    let items = match take_items(&mut value) {
        Ok(items) => items,
        Err(reason) => return unusable.push(Unusable::Malformed(format!("{place}{reason}"))),
    };
    let Some(items) = items else {
        let is_nameless = value.pointer("/metadata/generateName").is_some();
        match Object::from_value(value) {
            Ok(object) => objects.extend(object),
            Err(error @ ObjectError::Unnamed { .. }) if is_nameless => {
                unusable.push(Unusable::Nameless(format!("{place}{error}")));
            }
            Err(error) => unusable.push(Unusable::Malformed(format!("{place}{error}"))),
        }
        return;
    };
    for (index, mut item) in items.into_iter().enumerate() {
        inherit_type(&value, &mut item);
        collect(item, &format!("{place}items[{index}]: "), objects, unusable);
    }
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
        Some(_) => Err("items: expected a list, got something else".to_owned()),
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

    fn read(text: &str) -> (Vec<String>, Vec<String>) {
        let Manifest { objects, problems } = parse(Path::new("mesh.yaml"), text);
        let keys = objects.iter().map(|object| object.key().to_string());
        let problems = problems.iter().map(ToString::to_string);
        (keys.collect(), problems.collect())
    }

    #[test]
    fn objects_are_found_in_documents_and_lists() {
        let check = |text: &str, expect: &[&str]| {
            let (keys, problems) = read(text);
            assert_eq!(keys, expect, "{text}");
            assert!(problems.is_empty(), "{problems:?}");
        };
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
            let (_, problems) = read(text);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].starts_with(expect), "{problems:?}");
        };
        check("a: [", "mesh.yaml:");
        check(
            "---\n\nhello: world\n",
            "mesh.yaml:3: document 1: expected an object",
        );
        check(
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Service\nmetadata: 7\n",
            "mesh.yaml:5: document 2: Service: metadata: expected an object, got 7",
        );
        check(
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n- 7\n",
            "mesh.yaml:1: document 1: items[1]: expected an object",
        );
        check(
            "apiVersion: v1\nkind: List\nitems: 7\n",
            "mesh.yaml:1: document 1: items: ",
        );
    }

    #[test]
    fn what_is_wrong_costs_nothing_beside_it() {
        let check = |text: &str, objects: &[&str], problems: &[&str]| {
            let (keys, found) = read(text);
            assert_eq!(keys, objects, "{text}");
            assert_eq!(found, problems, "{text}");
        };
        let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n";
        check(
            &format!("{namespace}---\nx: [\n"),
            &["Namespace a"],
            &[
                "mesh.yaml:6: document 2: column 1: a value that is missing, or a brace or bracket that is not closed",
            ],
        );
        check(
            &format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{generateName: x-}}\n---\n{namespace}"
            ),
            &["Namespace a"],
            &[
                "mesh.yaml:1: document 1: Service: metadata.name is missing; only generateName is there, so nobody can know its name",
            ],
        );
        check(
            "apiVersion: v1\nkind: List\nitems:\n- 7\n- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n",
            &["Namespace a"],
            &[
                "mesh.yaml:1: document 1: items[0]: expected an object with apiVersion and kind, got something else",
            ],
        );
        check(
            "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: \"{{ .Values.port }}\"}]}\n",
            &[],
            &[
                "mesh.yaml:1: document 1: expected a manifest, got a Helm template; write what `helm template` renders",
            ],
        );
    }
}
