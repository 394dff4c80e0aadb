//! Media types and annotation keys, each with who reads it.

use lazymesh_documents::Kind;

pub use oci_client::annotations::{
    ORG_OPENCONTAINERS_IMAGE_CREATED as CREATED, ORG_OPENCONTAINERS_IMAGE_REVISION as REVISION,
    ORG_OPENCONTAINERS_IMAGE_SOURCE as SOURCE, ORG_OPENCONTAINERS_IMAGE_TITLE as TITLE,
    ORG_OPENCONTAINERS_IMAGE_VERSION as VERSION,
};
pub use oci_client::manifest::{
    IMAGE_CONFIG_MEDIA_TYPE as IMAGE_CONFIG, IMAGE_DOCKER_LAYER_GZIP_MEDIA_TYPE as DOCKER_LAYER,
    IMAGE_LAYER_GZIP_MEDIA_TYPE as IMAGE_LAYER, OCI_IMAGE_MEDIA_TYPE as IMAGE_MANIFEST,
};

/// The layer in which Istio looks for the raw module.
pub const WASM_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
/// The layer that Istio wants to see beside it.
pub const WASM_CONFIG_LAYER: &str = "application/vnd.module.wasm.config.v1+json";
/// Manifest config of an artifact that has none: `{}`, as `oras push` makes it.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Kind of our artifact.
pub const FILTER_ARTIFACT: &str = "application/vnd.lazymesh.filter.v1";
/// A CycloneDX bill of materials.
pub const CYCLONEDX: &str = Kind::CycloneDx.media_type();
/// An SPDX bill of materials.
pub const SPDX: &str = Kind::Spdx.media_type();
/// An in-toto statement, here of build provenance.
pub const IN_TOTO: &str = Kind::Provenance.media_type();
/// A cosign signature's payload.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Annotation in which cosign keeps the signature of a payload.
pub const COSIGN_SIGNATURE: &str = "dev.cosignproject.cosign/signature";
