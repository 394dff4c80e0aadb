//! The OpenAPI document says what is answered, and nothing else is.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::{Answer, Api};

/// Which router was asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listener {
    Ingest,
    Admin,
}

impl Listener {
    fn has(self, path: &str, operation: &Value) -> bool {
        let for_filters = operation["tags"][0] == "ingest";
        path == "/livez" || for_filters == (self == Self::Ingest)
    }
}

fn document() -> Value {
    serde_json::to_value(lazymesh_collector::api::document()).expect("the document is JSON")
}

/// Checks an answer against the document.
#[track_caller]
pub(crate) fn check(listener: Listener, method: &Method, path: &str, answer: &Answer) {
    let document = document();
    let media = answer
        .header("content-type")
        .split(';')
        .next()
        .unwrap_or_default()
        .to_owned();
    let schema = match operation(&document, method, path)
        .filter(|operation| listener.has(path, operation))
    {
        Some(_) if answer.status == StatusCode::NO_CONTENT => {
            assert!(answer.body.is_empty(), "{answer:?}");
            return;
        }
        Some(operation) => {
            let content = &operation["responses"][answer.status.as_str()]["content"];
            let schema = content[&media]["schema"].clone();
            assert!(
                schema.is_object(),
                "{method} {path} answers {} {media}, which is not in the document: {answer:?}",
                answer.status
            );
            schema
        }
        // An unknown path or method is in no document, but its answer is a problem as any other.
        None => json!({"$ref": "#/components/schemas/Problem"}),
    };
    validate(&document, &schema, &instance(&media, answer));
}

fn instance(media: &str, answer: &Answer) -> Value {
    if media.ends_with("json") {
        answer.json()
    } else {
        Value::String(answer.text().to_owned())
    }
}

#[track_caller]
fn validate(document: &Value, schema: &Value, instance: &Value) {
    let schema = json!({"allOf": [schema], "components": document["components"]});
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    let errors: Vec<String> = validator
        .iter_errors(instance)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:?}\n{instance:#}\n{schema:#}");
}

fn operation<'a>(document: &'a Value, method: &Method, path: &str) -> Option<&'a Value> {
    let paths = document["paths"].as_object()?;
    let (_, item) = paths.iter().find(|(template, _)| matches(template, path))?;
    item.get(method.as_str().to_lowercase())
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template
            .iter()
            .zip(&path)
            .all(|(want, have)| want.starts_with('{') || want == have)
}

#[test]
fn every_route_is_in_it() {
    let document = document();
    let paths = document["paths"].as_object().expect("paths");
    let routes: BTreeSet<String> = paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("an item").keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let expect = [
        "DELETE /v1/reverts/{namespace}",
        "DELETE /v1/workloads/{namespace}/{name}",
        "GET /livez",
        "GET /metrics",
        "GET /openapi.json",
        "GET /readyz",
        "GET /v1/always-visible",
        "GET /v1/events",
        "GET /v1/explain",
        "GET /v1/external-hosts",
        "GET /v1/graph",
        "GET /v1/plan",
        "GET /v1/plan/{namespace}/{name}",
        "GET /v1/services/{namespace}/{name}/dependents",
        "GET /v1/sidecars/{namespace}/{name}",
        "GET /v1/workloads",
        "GET /v1/workloads/{namespace}/{name}",
        "GET /v1/workloads/{namespace}/{name}/dependencies",
        "POST /v1/reports",
        "POST /v1/resolve",
    ];
    assert_eq!(routes, expect.map(str::to_owned).into());
}

#[test]
fn operations_have_names_of_their_own_and_say_what_they_ask_for() {
    let document = document();
    let schemes = document["components"]["securitySchemes"]
        .as_object()
        .expect("schemes");
    let mut names = BTreeSet::new();
    let paths = document["paths"].as_object().expect("paths");
    for operation in paths
        .values()
        .flat_map(|item| item.as_object().expect("an item").values())
    {
        let name = operation["operationId"].as_str().expect("a name");
        assert!(names.insert(name), "{name} twice");
        // What a generator would call after the handler alone.
        assert!(
            !["forget", "list", "show"].contains(&name),
            "{name} of what?"
        );
        let probe = ["livez", "readyz"].contains(&name);
        let asked = operation["security"].as_array();
        assert_eq!(asked.is_none(), probe, "{name}");
        for asked in asked.into_iter().flatten() {
            let asked = asked.as_object().expect("an object").keys();
            assert!(asked.into_iter().all(|one| schemes.contains_key(one)));
        }
    }
}

#[test]
fn no_choice_is_inside_a_composition() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    for (name, schema) in schemas.as_object().expect("schemas") {
        for part in schema["allOf"].as_array().into_iter().flatten() {
            let target = references(part).first().map_or(part, |reference| {
                document.pointer(&reference[1..]).expect("it resolves")
            });
            assert!(target.get("oneOf").is_none(), "{name}");
        }
    }
    let answers = &schemas["ResolveResponse"]["discriminator"]["mapping"];
    let decisions: Vec<&String> = answers.as_object().expect("a mapping").keys().collect();
    assert_eq!(decisions, ["direct", "hold", "passthrough"]);
}

#[test]
fn its_references_resolve() {
    let document = document();
    let schemas = document["components"]["schemas"]
        .as_object()
        .expect("schemas");
    for reference in references(&document) {
        let name = reference
            .strip_prefix("#/components/schemas/")
            .expect("a schema");
        assert!(schemas.contains_key(name), "{name}");
    }
}

fn references(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str);
            own.into_iter()
                .chain(fields.values().flat_map(references))
                .collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn it_is_served() {
    let api = Api::new().await;
    let served = api.get("/openapi.json").await;
    assert_eq!(served.json(), document());
}
