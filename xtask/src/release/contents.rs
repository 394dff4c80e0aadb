//! The list of what is in an image layout: every manifest, and what it consists of.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

const TAG: &str = "org.opencontainers.image.ref.name";
const TITLE: &str = "org.opencontainers.image.title";

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    artifact_type: Option<String>,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Name, digest and size in bytes, a line each; layers are indented.
pub(super) fn list(layout: &Path) -> Result<String> {
    let index: Index = read(&layout.join("index.json"))?;
    let mut text = String::new();
    for entry in &index.manifests {
        let hex = entry.digest.trim_start_matches("sha256:");
        let manifest: Manifest = read(&layout.join("blobs/sha256").join(hex))?;
        let kind = manifest.artifact_type.as_ref().unwrap_or(&entry.media_type);
        line(
            &mut text,
            entry.annotations.get(TAG).map_or("", String::as_str),
            kind,
            entry,
        )?;
        for layer in &manifest.layers {
            let name = layer.annotations.get(TITLE).map_or("", String::as_str);
            line(&mut text, &format!("  {name}"), &layer.media_type, layer)?;
        }
    }
    Ok(text)
}

/// Tags of signatures are their subject's digest over again: shortened.
fn line(text: &mut String, name: &str, kind: &str, entry: &Descriptor) -> Result<()> {
    let name = match name
        .strip_prefix("sha256-")
        .and_then(|rest| rest.split_once('.'))
    {
        Some((hex, kind)) => format!("sha256-{hex:.8}….{kind}"),
        None => name.to_owned(),
    };
    writeln!(
        text,
        "{name:26} {kind:52} {} {:>8}",
        entry.digest, entry.size
    )?;
    Ok(())
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let shown = || path.display().to_string();
    serde_json::from_slice(&fs::read(path).with_context(shown)?).with_context(shown)
}
