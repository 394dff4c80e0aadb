//! Whether an artifact is what somebody expects: pinned, signed, and with a bill of materials.

use serde::Serialize;

use crate::{Digest, Error, Pointer, PublicKey, Repository, media, pull, referrers, signature};

/// What to insist on.
#[derive(Debug, Clone, Default)]
pub struct Expectations {
    /// The manifest must have this digest.
    pub digest: Option<Digest>,
    /// The manifest must be signed by this key.
    pub key: Option<PublicKey>,
    /// There must be a bill of materials, CycloneDX or SPDX, that is about the module. Whether its contents are true
    /// no check can tell.
    pub sbom: bool,
}

/// What was found to be so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Digest of the manifest.
    pub digest: Digest,
    /// Digest of the module.
    pub module_digest: Digest,
    /// True if a signature was asked for, and is valid.
    pub signed: bool,
    /// Media types of the bills of materials there are.
    pub sboms: Vec<String>,
    /// Whether there is a provenance statement.
    pub provenance: bool,
}

/// Checks the artifact at `pointer`: all digests in any case, and what `expectations` name.
///
/// # Errors
/// The first thing that is not as expected, or that could not be found out.
pub async fn verify(
    repository: &dyn Repository,
    pointer: &Pointer,
    expectations: &Expectations,
) -> Result<Verified, Error> {
    let work = async {
        let raw = repository.manifest(pointer).await?;
        let digest = raw.digest();
        if let Some(expected) = expectations.digest
            && expected != digest
        {
            return Err(Error::DigestMismatch {
                what: format!("{pointer}"),
                expected,
                actual: digest,
            });
        }
        if let Some(key) = &expectations.key {
            signature::verify_signature(repository, &digest, key).await?;
        }
        let module = pull::module(repository, &raw.image(repository.limits())?).await?;
        let kinds: Vec<String> = kinds_of_referrers(repository, &digest).await?;
        let sboms: Vec<String> = kinds.iter().filter(|kind| is_sbom(kind)).cloned().collect();
        if expectations.sbom && sboms.is_empty() {
            return Err(Error::NotFound {
                what: format!("bill of materials of {digest}"),
            });
        }
        Ok(Verified {
            digest,
            module_digest: Digest::of(&module),
            signed: expectations.key.is_some(),
            sboms,
            provenance: kinds.iter().any(|kind| kind == media::IN_TOTO),
        })
    };
    repository.limits().within("verify", work).await
}

async fn kinds_of_referrers(
    repository: &dyn Repository,
    digest: &Digest,
) -> Result<Vec<String>, Error> {
    let found = referrers::referrers(repository, digest).await?;
    Ok(found
        .into_iter()
        .filter_map(|referrer| referrer.artifact_type)
        .collect())
}

fn is_sbom(kind: &str) -> bool {
    kind == media::CYCLONEDX || kind == media::SPDX
}
