//! An OCI image layout in the making: an image of one layer, and documents that refer to it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lazymesh_documents::Kind;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::layer::{self, Layer};
use crate::git::Checkout;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// What the titles of documents start with.
const NAME: &str = "lazymesh";

pub(super) struct Layout {
    staging: tempfile::TempDir,
    manifests: Vec<Value>,
}

/// The image within a layout.
pub(super) struct Image {
    descriptor: Value,
    /// SHA-256 of its manifest, in hex.
    pub(super) sha256: String,
}

impl Layout {
    /// An empty one, on the disk that `folder` is on.
    pub(super) fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let layout = Self {
            staging: tempfile::tempdir_in(folder)?,
            manifests: Vec::new(),
        };
        fs::create_dir_all(layout.blobs())?;
        Ok(layout)
    }

    /// Adds an image under a tag.
    pub(super) fn image(
        &mut self,
        tag: &str,
        layer: &Layer,
        labels: &Map<String, Value>,
    ) -> Result<Image> {
        let config = self.json(
            "application/vnd.oci.image.config.v1+json",
            &config(layer, labels),
        )?;
        let layer = self.store("application/vnd.oci.image.layer.v1.tar+gzip", &layer.gzip)?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config,
            "layers": [layer],
            "annotations": labels,
        });
        let descriptor = self.json(MANIFEST, &manifest)?;
        let mut entry = descriptor.clone();
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        self.manifests.push(entry);
        let digest = descriptor["digest"].as_str().unwrap_or_default();
        let sha256 = digest.trim_start_matches("sha256:").to_owned();
        Ok(Image { descriptor, sha256 })
    }

    /// Adds a document that refers to `image`.
    pub(super) fn document(&mut self, image: &Image, kind: Kind, content: &[u8]) -> Result<()> {
        let mut layer = self.store(kind.media_type(), content)?;
        layer["annotations"] = json!({
            "org.opencontainers.image.title": format!("{NAME}.{}", kind.ending()),
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": kind.media_type(),
            "config": self.json(EMPTY, &json!({}))?,
            "layers": [layer],
            "subject": image.descriptor,
        });
        let mut entry = self.json(MANIFEST, &manifest)?;
        entry["artifactType"] = kind.media_type().into();
        self.manifests.push(entry);
        Ok(())
    }

    /// Moves it to `folder`, in the place of what was there. A rename, so that nobody sees half of it.
    pub(super) fn finish(self, folder: &Path) -> Result<()> {
        let root = self.root();
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": self.manifests,
        });
        fs::write(root.join("index.json"), serde_json::to_vec(&index)?)?;
        let version = json!({ "imageLayoutVersion": "1.0.0" });
        fs::write(root.join("oci-layout"), serde_json::to_vec(&version)?)?;
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::rename(root, folder).with_context(|| format!("cannot write {}", folder.display()))
    }

    /// Stores a JSON document as a blob; its descriptor.
    fn json(&self, media_type: &str, document: &Value) -> Result<Value> {
        self.store(media_type, &serde_json::to_vec(document)?)
    }

    fn store(&self, media_type: &str, content: &[u8]) -> Result<Value> {
        let hex = format!("{:x}", Sha256::digest(content));
        fs::write(self.blobs().join(&hex), content)?;
        Ok(json!({
            "mediaType": media_type,
            "digest": format!("sha256:{hex}"),
            "size": content.len(),
        }))
    }

    fn blobs(&self) -> PathBuf {
        self.root().join("blobs/sha256")
    }

    /// Not the temporary folder itself, which is for its owner alone.
    fn root(&self) -> PathBuf {
        self.staging.path().join("layout")
    }
}

/// What is said about an image of this version, in its configuration and its manifest alike.
pub(super) fn labels(version: &str, checkout: Option<&Checkout>) -> Map<String, Value> {
    // Changes that are in no commit belong to none.
    let clean = checkout.filter(|it| !it.modified);
    let labels = [
        ("title", Some(NAME)),
        ("version", Some(version)),
        ("licenses", Some("Apache-2.0")),
        ("source", checkout.and_then(|it| it.source.as_deref())),
        ("revision", clean.map(|it| it.revision.as_str())),
    ];
    let named = |(name, value): (&str, Option<&str>)| {
        Some((format!("org.opencontainers.image.{name}"), value?.into()))
    };
    labels.into_iter().filter_map(named).collect()
}

fn config(layer: &Layer, labels: &Map<String, Value>) -> Value {
    json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "User": format!("{0}:{0}", layer::USER),
            "Env": ["PATH=/"],
            "Entrypoint": [format!("/{}", layer::PROGRAM)],
            "WorkingDir": "/",
            "Labels": labels,
        },
        "rootfs": {
            "type": "layers",
            "diff_ids": [format!("sha256:{}", layer.tar_sha256)],
        },
    })
}
