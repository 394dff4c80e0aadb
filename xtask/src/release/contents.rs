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
    config: Descriptor,
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

/// Name, kind, digest and size in bytes, a line each; config and layers are indented.
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
        let config = &manifest.config;
        line(&mut text, "  config", &config.media_type, config)?;
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn descriptor(digest: &str, name: &str) -> Value {
        json!({
            "mediaType": format!("a/{digest}"), "digest": format!("sha256:{digest}"), "size": 7,
            "annotations": {TAG: name, TITLE: name},
        })
    }

    fn write(path: &Path, document: &Value) {
        fs::write(path, document.to_string()).expect("written");
    }

    /// An artifact, what was attached to it, and a signature: all that is in the folder is in the list.
    #[test]
    fn nothing_is_left_out() {
        let dir = tempfile::tempdir().expect("a folder");
        let blobs = dir.path().join("blobs/sha256");
        fs::create_dir_all(&blobs).expect("a folder");
        let signature = format!("sha256-{}.sig", "e".repeat(64));
        for (manifest, config, layers) in [
            ("artifact", "c1", ["l1", "l2"]),
            ("bill", "c2", ["l3", "l4"]),
            ("signature", "c3", ["l5", "l6"]),
        ] {
            let contents = json!({
                "artifactType": format!("kind/{manifest}"), "config": descriptor(config, ""),
                "layers": layers.map(|layer| descriptor(layer, "file")),
            });
            write(&blobs.join(manifest), &contents);
            for blob in [&[config][..], &layers].concat() {
                fs::write(blobs.join(blob), "").expect("written");
            }
        }
        let entries = [
            descriptor("artifact", "0.1.0"),
            descriptor("bill", ""),
            descriptor("signature", &signature),
        ];
        write(
            &dir.path().join("index.json"),
            &json!({ "manifests": entries }),
        );

        let text = list(dir.path()).expect("listed");
        let files = fs::read_dir(&blobs).expect("a folder");
        for name in files.map(|file| file.expect("a file").file_name()) {
            let digest = format!(" sha256:{} ", name.display());
            assert!(text.contains(&digest), "{digest} in\n{text}");
        }
        assert_eq!(text.lines().count(), 12);
        let names: Vec<_> = text.lines().map(|line| line[..26].trim_end()).collect();
        assert_eq!(names[..5], ["0.1.0", "  config", "  file", "  file", ""]);
        assert_eq!(names[8], "sha256-eeeeeeee….sig");
    }
}
