//! Everything there is to know about an artifact without running it.

use serde::Serialize;

use crate::manifest::{Descriptor, Manifest};
use crate::repository::find_manifest;
use crate::{Digest, Error, Module, Pointer, Repository, bundle, pull, referrers};

/// An artifact laid open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// Digest of the manifest: what a WasmPlugin pins.
    pub digest: Digest,
    /// The manifest with its layers and annotations.
    pub manifest: Manifest,
    /// Digest of the module, which differs from its layer's where that is an archive.
    pub module_digest: Digest,
    /// The module.
    pub module: Module,
    /// What refers to it: bills of materials, provenance, signatures.
    pub referrers: Vec<Descriptor>,
    /// Whether there is a signature, under cosign's tag or in a bundle. Says nothing about whose: [`crate::verify`] does.
    pub signed: bool,
}

/// Looks at the artifact at `pointer`: fetches all that is in it, verifies the digests, lists its referrers.
///
/// # Errors
/// Anything that is not as announced, or not within the repository's limits.
pub async fn inspect(repository: &dyn Repository, pointer: &Pointer) -> Result<Inspection, Error> {
    let work = async {
        let raw = repository.manifest(pointer).await?;
        let manifest = raw.image(repository.limits())?;
        let module = pull::module(repository, &manifest).await?;
        let digest = raw.digest();
        let referrers = referrers::referrers(repository, &digest).await?;
        let tagged = find_manifest(repository, &referrers::signature_tag(&digest)).await?;
        Ok(Inspection {
            digest,
            module_digest: Digest::of(&module),
            module: Module::read(&module)?,
            signed: tagged.is_some() || referrers.iter().any(bundle::is_bundle),
            referrers,
            manifest,
        })
    };
    repository.limits().within("inspect", work).await
}
