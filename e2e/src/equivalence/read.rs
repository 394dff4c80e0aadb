//! Reads meshes as people write them: folders of manifests and questions, and core's golden cases.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use lazymesh_core::{EgressHost, Mesh as Settings, Workload};
use lazymesh_protocol::{Protocol, ResolveRequest};
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Call, Speaks};
use super::mesh::{Mesh, applied};
use super::spelling;

/// The meshes of a folder with `manifests.yaml` and `question.json`, what sidecars ask; one for each of its askers.
///
/// # Errors
/// When a file is missing or not what it should be.
pub fn folder(folder: &Path) -> Result<Vec<Mesh>> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let objects = documents(&folder.join("manifests.yaml"))?;
    let questions: Vec<ResolveRequest> =
        serde_json::from_str(&text(&folder.join("question.json"))?)?;
    let asked = questions.iter().map(|question| Asked {
        from: format!("{}/{}", question.source.namespace, question.source.workload),
        authority: question.authority.clone(),
        destination: question.destination.clone(),
        protocol: question.protocol,
    });
    meshes(
        &name,
        &Settings::default(),
        &objects,
        &[],
        &asked.collect::<Vec<_>>(),
    )
}

/// The meshes of a golden case of core, `<case>.input.yaml`, with the caller's namespace enforced.
///
/// # Errors
/// As [`folder`].
pub fn golden(input: &Path) -> Result<Vec<Mesh>> {
    let file = input.file_name().unwrap_or_default().to_string_lossy();
    let name = file.trim_end_matches(".input.yaml");
    let case: Golden = serde_saphyr::from_str(&text(input)?).with_context(|| name.to_owned())?;
    let mut objects = Vec::new();
    for other in &case.with {
        objects.extend(documents(
            &input.with_file_name(format!("{other}.objects.yaml")),
        )?);
    }
    objects.extend(case.objects);
    meshes(name, &case.mesh, &objects, &case.learned, &case.resolve)
}

#[derive(Deserialize)]
struct Golden {
    #[serde(default)]
    mesh: Settings,
    #[serde(default)]
    with: Vec<String>,
    #[serde(default)]
    objects: Vec<Value>,
    #[serde(default)]
    learned: Vec<Edge>,
    #[serde(default)]
    resolve: Vec<Asked>,
}

#[derive(Deserialize)]
struct Edge {
    source: String,
    host: EgressHost,
}

#[derive(Deserialize)]
struct Asked {
    from: String,
    authority: Option<String>,
    destination: Option<String>,
    protocol: Protocol,
}

impl Asked {
    fn call(&self) -> Option<Call> {
        let speaks = match self.protocol {
            Protocol::Http => Speaks::Http,
            Protocol::Tcp => Speaks::Tcp,
            Protocol::Tls => Speaks::Tls,
        };
        let destination = self.destination.as_deref()?.parse().ok()?;
        Some(Call::new(
            speaks,
            self.authority.as_deref().unwrap_or_default(),
            destination,
        ))
    }
}

fn meshes(
    name: &str,
    settings: &Settings,
    objects: &[Value],
    learned: &[Edge],
    asked: &[Asked],
) -> Result<Vec<Mesh>> {
    let askers: BTreeSet<_> = asked.iter().map(|one| one.from.as_str()).collect();
    let mesh = |asker: &str| {
        let caller: Workload = asker.parse()?;
        let mut mesh = Mesh {
            name: format!("{name} as {asker}"),
            settings: settings.clone(),
            lenient: true,
            registry_only: settings.registry_only,
            objects: enforced(objects, &caller.namespace),
            learned: learned
                .iter()
                .filter(|edge| edge.source == asker)
                .map(|edge| edge.host.clone())
                .collect(),
            calls: Vec::new(),
            caller,
        };
        let own = asked.iter().filter(|one| one.from == asker);
        let own = own.filter_map(Asked::call).chain(spelling::calls(&mesh));
        mesh.calls = own.filter(|call| mesh.can_dial(call)).collect();
        Ok(mesh)
    };
    askers.into_iter().map(mesh).collect()
}

/// The objects with `namespace` among them, enforced.
fn enforced(objects: &[Value], namespace: &str) -> Vec<Value> {
    let mut objects = applied(objects.iter().cloned());
    let is_it =
        |object: &Value| object["kind"] == "Namespace" && object["metadata"]["name"] == namespace;
    if !objects.iter().any(is_it) {
        objects.push(
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
        );
    }
    for object in objects.iter_mut().filter(|object| is_it(object)) {
        object["metadata"]["labels"]["lazymesh.io/mode"] = json!("enforce");
    }
    objects.iter_mut().for_each(complete);
    objects
}

/// Says what Kubernetes says of every endpoint: the namespace of its pod.
fn complete(object: &mut Value) {
    let namespace = object["metadata"]["namespace"].clone();
    let endpoints = object.get_mut("endpoints").and_then(Value::as_array_mut);
    for endpoint in endpoints.into_iter().flatten() {
        if let Some(pod) = endpoint.get_mut("targetRef").and_then(Value::as_object_mut) {
            pod.entry("namespace").or_insert_with(|| namespace.clone());
        }
    }
}

fn documents(path: &Path) -> Result<Vec<Value>> {
    serde_saphyr::from_multiple(&text(path)?).with_context(|| path.display().to_string())
}

fn text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
