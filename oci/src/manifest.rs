//! Manifests, read as hostile input: what came is kept byte for byte, and used only after every descriptor in it
//! was checked.

use std::collections::BTreeMap;

use bytes::Bytes;
use lazymesh_core::fit_json;
use oci_client::manifest::{OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciImageManifest};
use serde::{Deserialize, Serialize};

use crate::{Digest, Error, Limits};

/// Media types asked for where a manifest is expected.
pub(crate) const ACCEPTED: &[&str] = &[
    OCI_IMAGE_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    oci_client::manifest::IMAGE_MANIFEST_MEDIA_TYPE,
    oci_client::manifest::IMAGE_MANIFEST_LIST_MEDIA_TYPE,
];

/// What a manifest says about one piece of content: checked, so that its digest is one and its size no negative number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Kind of the content.
    pub media_type: String,
    /// Name of the content.
    pub digest: Digest,
    /// Bytes of the content.
    pub size: u64,
    /// Kind of the artifact, where the content is a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Notes by its author.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// Describes `bytes`.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            artifact_type: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Whether the content lists manifests rather than layers.
    pub(crate) fn is_index(&self) -> bool {
        is_index(&self.media_type)
    }

    /// The same with one more annotation.
    pub fn annotated(mut self, key: &str, value: impl Into<String>) -> Self {
        self.annotations.insert(key.to_owned(), value.into());
        self
    }
}

fn is_index(media_type: &str) -> bool {
    matches!(
        media_type,
        OCI_IMAGE_INDEX_MEDIA_TYPE | oci_client::manifest::IMAGE_MANIFEST_LIST_MEDIA_TYPE
    )
}

/// A manifest as it is stored: the bytes, what they are called, and what kind they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawManifest {
    /// Media type, as the registry or layout says.
    pub media_type: String,
    /// The document.
    pub bytes: Bytes,
}

impl RawManifest {
    /// The digest that names the manifest.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// A descriptor that points to it.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::of(&self.media_type, &self.bytes)
    }

    /// Whether it lists manifests rather than layers.
    pub fn is_index(&self) -> bool {
        is_index(&self.media_type)
    }

    /// The manifest of an image or artifact.
    ///
    /// # Errors
    /// When the document is an index, is not a manifest, or describes more layers than `limits` allow.
    pub fn image(&self, limits: &Limits) -> Result<Manifest, Error> {
        if self.is_index() {
            return Err(Error::malformed(
                "manifest",
                "an index of several manifests; name one of them by digest",
            ));
        }
        Manifest::parse(&self.bytes, limits)
    }
}

/// The manifest of an image or artifact, each descriptor checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u8,
    /// Media type of the manifest itself.
    pub media_type: String,
    /// Kind of the artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration, for artifacts usually an empty JSON object.
    pub config: Descriptor,
    /// The contents.
    pub layers: Vec<Descriptor>,
    /// The manifest that this one refers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Notes by its author.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        let unchecked: OciImageManifest =
            fit_json(bytes).map_err(|e| Error::malformed("manifest", e))?;
        if unchecked.schema_version != 2 {
            return Err(Error::malformed(
                "manifest",
                format!("schema version {}", unchecked.schema_version),
            ));
        }
        let count = unchecked.layers.len();
        if count > limits.layers {
            return Err(Error::TooMany {
                what: "layers in the manifest".to_owned(),
                count,
                limit: limits.layers,
            });
        }
        Ok(Self {
            schema_version: 2,
            media_type: unchecked
                .media_type
                .unwrap_or_else(|| OCI_IMAGE_MEDIA_TYPE.to_owned()),
            artifact_type: unchecked.artifact_type,
            config: checked(unchecked.config)?,
            layers: unchecked
                .layers
                .into_iter()
                .map(checked)
                .collect::<Result<_, _>>()?,
            subject: unchecked.subject.map(checked).transpose()?,
            annotations: unchecked.annotations.unwrap_or_default(),
        })
    }

    /// The document, the same bytes for the same content.
    pub(crate) fn to_raw(&self) -> RawManifest {
        // A struct of strings, numbers and maps with string keys always serialises.
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        RawManifest {
            media_type: self.media_type.clone(),
            bytes: bytes.into(),
        }
    }

    /// What an artifact is, as the distribution specification derives it.
    pub(crate) fn kind(self) -> String {
        self.artifact_type.unwrap_or(self.config.media_type)
    }

    /// Config and layers, each digest once.
    pub(crate) fn blobs(&self) -> Vec<&Descriptor> {
        let mut blobs: Vec<&Descriptor> = Vec::with_capacity(self.layers.len() + 1);
        for blob in std::iter::once(&self.config).chain(&self.layers) {
            if blobs.iter().all(|known| known.digest != blob.digest) {
                blobs.push(blob);
            }
        }
        blobs
    }
}

fn checked(unchecked: oci_client::manifest::OciDescriptor) -> Result<Descriptor, Error> {
    let malformed = |reason: String| Error::malformed("descriptor in the manifest", reason);
    Ok(Descriptor {
        digest: unchecked
            .digest
            .parse()
            .map_err(|e: crate::DigestError| malformed(e.to_string()))?,
        size: unchecked
            .size
            .try_into()
            .map_err(|_| malformed(format!("size {}", unchecked.size)))?,
        media_type: unchecked.media_type,
        artifact_type: unchecked.artifact_type,
        annotations: unchecked.annotations.unwrap_or_default(),
    })
}

/// A list of manifests: what an image layout keeps, and what the referrers API answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    pub(crate) schema_version: u8,
    #[serde(default = "index_media_type")]
    pub(crate) media_type: String,
    pub(crate) manifests: Vec<Descriptor>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            schema_version: 2,
            media_type: index_media_type(),
            manifests: Vec::new(),
        }
    }
}

fn index_media_type() -> String {
    OCI_IMAGE_INDEX_MEDIA_TYPE.to_owned()
}

impl Index {
    pub(crate) fn parse(what: &str, bytes: &[u8], most: usize) -> Result<Self, Error> {
        let index: Self = fit_json(bytes).map_err(|e| Error::malformed(what, e))?;
        if index.manifests.len() > most {
            return Err(Error::TooMany {
                what: what.to_owned(),
                count: index.manifests.len(),
                limit: most,
            });
        }
        Ok(index)
    }

    pub(crate) fn to_raw(&self) -> RawManifest {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        RawManifest {
            media_type: self.media_type.clone(),
            bytes: bytes.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(document: &str, expect: &str) {
        let raw = RawManifest {
            media_type: OCI_IMAGE_MEDIA_TYPE.to_owned(),
            bytes: document.to_owned().into(),
        };
        let error = raw
            .image(&Limits::default())
            .expect_err("refused")
            .to_string();
        assert!(error.contains(expect), "{error}");
    }

    fn with_layer(layer: &str) -> String {
        let config = r#"{"mediaType":"a/b","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}"#;
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer}]}}"#)
    }

    #[test]
    fn what_is_refused() {
        check("", "the document ends too early at line 1, column 0");
        check("[]", "cannot be understood");
        check(
            &with_layer("7"),
            "manifest cannot be understood: layers[0]: expected an object, got 7",
        );
        check(
            &with_layer("").replace(":2,\"config", ":1,\"config"),
            "schema version 1",
        );
        check(
            &with_layer(r#"{"mediaType":"a/b","size":1,"digest":"sha256:../../x"}"#),
            "expected sha256",
        );
        check(
            &with_layer(r#"{"mediaType":"a/b","size":1,"digest":"sha512:00"}"#),
            "expected sha256",
        );
        let negative = format!(
            r#"{{"mediaType":"a/b","size":-1,"digest":"{}"}}"#,
            Digest::of(b"")
        );
        check(&with_layer(&negative), "size -1");
        let many = vec![
            format!(
                r#"{{"mediaType":"a/b","size":0,"digest":"{}"}}"#,
                Digest::of(b"")
            );
            10_000
        ];
        check(&with_layer(&many.join(",")), "10000 of them, at most 64");
    }
}
