//! The artifact in memory: the same module and metadata in give the same bytes out, on any machine.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;

use crate::manifest::{Descriptor, Manifest, RawManifest};
use crate::{Digest, Error, Module, archive, media};

const EMPTY_JSON: &[u8] = b"{}";

/// How the module is laid out in the artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Variant {
    /// Two layers, the raw module and a configuration: what `oras push` makes and Istio takes.
    #[default]
    Wasm,
    /// One tar+gzip layer that holds `plugin.wasm`, as an image build makes it: for consumers that know only images.
    ///
    /// Istio (up to 1.31 at least) stops reading the archive where the module ends and so never compares the layer's
    /// digest: whoever can change a registry's answers can swap the module even of a pinned manifest, if the archive
    /// keeps its size. Prefer [`Variant::Wasm`], which it does check.
    Compat,
}

/// What the annotations say about the module. Everything here is part of the digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// File name of the module, such as `filter.wasm`; `plugin.wasm` if empty.
    pub title: String,
    /// Version of the module.
    pub version: Option<String>,
    /// Address of its sources.
    pub source: Option<String>,
    /// Commit it was built from.
    pub revision: Option<String>,
    /// When it was built, RFC 3339. Set it from `SOURCE_DATE_EPOCH` or not at all: a clock makes every push another
    /// digest. See [`crate::created_from_epoch`].
    pub created: Option<String>,
}

/// A packed artifact: its manifest, and the blobs it names.
#[derive(Debug, Clone)]
pub struct Artifact {
    manifest: RawManifest,
    blobs: Vec<(Descriptor, Bytes)>,
}

impl Artifact {
    /// Packs a module.
    ///
    /// # Errors
    /// [`Error::NotWasm`] for anything but a Wasm module.
    pub fn pack(
        module: impl Into<Bytes>,
        metadata: &Metadata,
        variant: Variant,
    ) -> Result<Self, Error> {
        let module = module.into();
        Module::read(&module)?;
        match variant {
            Variant::Wasm => Ok(wasm(module, metadata)),
            Variant::Compat => compat(&module, metadata),
        }
    }

    /// An artifact of one document that says something about `subject`.
    pub(crate) fn about(
        subject: Descriptor,
        artifact_type: &str,
        document: Bytes,
        title: &str,
    ) -> Self {
        let empty = (
            Descriptor::of(media::EMPTY, EMPTY_JSON),
            Bytes::from_static(EMPTY_JSON),
        );
        let layer = Descriptor::of(artifact_type, &document).annotated(media::TITLE, title);
        let mut manifest = manifest(empty.0.clone(), vec![layer.clone()], BTreeMap::new());
        manifest.artifact_type = Some(artifact_type.to_owned());
        manifest.subject = Some(subject);
        Self {
            manifest: manifest.to_raw(),
            blobs: vec![empty, (layer, document)],
        }
    }

    /// An artifact of given layers with the configuration that images have.
    pub(crate) fn image(
        layers: Vec<(Descriptor, Bytes)>,
        config: &ImageConfig<'_>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        // A struct of strings always serialises.
        let config = Bytes::from(serde_json::to_vec(config).unwrap_or_default());
        let config = (Descriptor::of(media::IMAGE_CONFIG, &config), config);
        let descriptors = layers.iter().map(|(layer, _)| layer.clone()).collect();
        let manifest = manifest(config.0.clone(), descriptors, annotations);
        Self {
            manifest: manifest.to_raw(),
            blobs: std::iter::once(config).chain(layers).collect(),
        }
    }

    /// The manifest; its digest names the artifact.
    pub fn manifest(&self) -> &RawManifest {
        &self.manifest
    }

    /// The blobs, each with its description.
    pub fn blobs(&self) -> impl Iterator<Item = (&Descriptor, &Bytes)> {
        self.blobs
            .iter()
            .map(|(descriptor, bytes)| (descriptor, bytes))
    }
}

/// The configuration of an image that is none: only what readers of images insist on.
#[derive(Serialize)]
pub(crate) struct ImageConfig<'a> {
    architecture: &'a str,
    os: &'a str,
    config: BTreeMap<String, String>,
    rootfs: RootFs<'a>,
}

#[derive(Serialize)]
struct RootFs<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    diff_ids: Vec<Digest>,
}

impl<'a> ImageConfig<'a> {
    /// `diff_ids` are the digests of the layers before compression.
    pub(crate) fn new(architecture: &'a str, os: &'a str, diff_ids: Vec<Digest>) -> Self {
        let rootfs = RootFs {
            kind: "layers",
            diff_ids,
        };
        Self {
            architecture,
            os,
            config: BTreeMap::new(),
            rootfs,
        }
    }
}

fn wasm(module: Bytes, metadata: &Metadata) -> Artifact {
    let empty = (
        Descriptor::of(media::EMPTY, EMPTY_JSON),
        Bytes::from_static(EMPTY_JSON),
    );
    let config = Descriptor::of(media::WASM_CONFIG_LAYER, EMPTY_JSON)
        .annotated(media::TITLE, "runtime-config.json");
    let content =
        Descriptor::of(media::WASM_LAYER, &module).annotated(media::TITLE, title(metadata));
    let mut manifest = manifest(
        empty.0.clone(),
        vec![config, content.clone()],
        annotations(metadata),
    );
    manifest.artifact_type = Some(media::FILTER_ARTIFACT.to_owned());
    // The configuration layer has the bytes of the empty config: one blob serves both.
    Artifact {
        manifest: manifest.to_raw(),
        blobs: vec![empty, (content, module)],
    }
}

fn compat(module: &[u8], metadata: &Metadata) -> Result<Artifact, Error> {
    let archive = archive::pack(module).map_err(Error::io(archive::MODULE_PATH.as_ref()))?;
    let config = ImageConfig::new("wasm", "wasi", vec![archive.tar_digest]);
    let layer = (
        Descriptor::of(media::IMAGE_LAYER, &archive.gzip),
        archive.gzip,
    );
    Ok(Artifact::image(vec![layer], &config, annotations(metadata)))
}

fn manifest(
    config: Descriptor,
    layers: Vec<Descriptor>,
    annotations: BTreeMap<String, String>,
) -> Manifest {
    Manifest {
        schema_version: 2,
        media_type: media::IMAGE_MANIFEST.to_owned(),
        artifact_type: None,
        config,
        layers,
        subject: None,
        annotations,
    }
}

fn title(metadata: &Metadata) -> &str {
    if metadata.title.is_empty() {
        archive::MODULE_PATH
    } else {
        &metadata.title
    }
}

fn annotations(metadata: &Metadata) -> BTreeMap<String, String> {
    let optional = [
        (media::VERSION, &metadata.version),
        (media::SOURCE, &metadata.source),
        (media::REVISION, &metadata.revision),
        (media::CREATED, &metadata.created),
    ];
    let mut annotations = BTreeMap::from([(media::TITLE.to_owned(), title(metadata).to_owned())]);
    for (key, value) in optional {
        if let Some(value) = value {
            annotations.insert(key.to_owned(), value.clone());
        }
    }
    annotations
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    fn metadata() -> Metadata {
        Metadata {
            title: "filter.wasm".to_owned(),
            version: Some("0.1.0".to_owned()),
            ..Metadata::default()
        }
    }

    /// Pinned: a change of these digests is a change of what users verify, and belongs into the CHANGELOG.
    #[test]
    fn the_same_bytes_everywhere() {
        let digest = |variant| {
            Artifact::pack(MODULE, &metadata(), variant)
                .expect("packs")
                .manifest
                .digest()
                .to_string()
        };
        assert_eq!(
            digest(Variant::Wasm),
            "sha256:bc071b7d535cf98b1996940563b62b6c486807488b08a2c0cf5e18f87765492f"
        );
        assert_eq!(
            digest(Variant::Compat),
            "sha256:ff7dd01b3993106359e80a0af48eb72784c20534323bc3d0b7b039bb72b071fd"
        );
    }

    #[test]
    fn two_layers_as_istio_wants_them() {
        let artifact = Artifact::pack(MODULE, &metadata(), Variant::Wasm).expect("packs");
        let manifest = artifact
            .manifest
            .image(&crate::Limits::default())
            .expect("readable");
        let types: Vec<_> = manifest
            .layers
            .iter()
            .map(|layer| layer.media_type.as_str())
            .collect();
        assert_eq!(types, [media::WASM_CONFIG_LAYER, media::WASM_LAYER]);
        assert!(!manifest.annotations.contains_key(media::CREATED));
    }

    #[test]
    fn only_modules() {
        let error =
            Artifact::pack(&b"#!/bin/sh"[..], &metadata(), Variant::Wasm).expect_err("no module");
        assert!(matches!(error, Error::NotWasm(_)), "{error}");
    }
}
