//! Whether an artifact is what somebody expects: pinned, signed, and with its documents.

use serde::Serialize;

use crate::evidence::{self, Evidence, Found, Subject};
use crate::manifest::RawManifest;
use crate::{Digest, Error, Pointer, PublicKey, Repository, fetch, media, pull, signature};

/// What to insist on.
#[derive(Debug, Clone, Default)]
pub struct Expectations {
    /// It must be a container image, which holds no module: documents name its manifest instead.
    pub image: bool,
    /// The manifest must have this digest.
    pub digest: Option<Digest>,
    /// The manifest must be signed by this key, and so must each document that is to count.
    pub key: Option<PublicKey>,
    /// There must be a bill of materials, CycloneDX or SPDX 2: attached to this very manifest, readable, and naming
    /// the module, or the image's manifest, by its SHA-256.
    ///
    /// Without [`key`](Self::key) that shows that somebody who may write to the repository wrote it about this artifact, and
    /// nothing more. With it, the owner of the key vouches for it. Whether it tells the truth no check can show.
    pub sbom: bool,
    /// There must be a provenance statement (in-toto, SLSA 1). The same holds as for [`sbom`](Self::sbom).
    pub provenance: bool,
}

/// What was found to be so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Digest of the manifest.
    pub digest: Digest,
    /// Digest of the module; none of an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module_digest: Option<Digest>,
    /// True if a signature was asked for, and is valid.
    pub signed: bool,
    /// The bills of materials that are about this artifact.
    pub sboms: Vec<Evidence>,
    /// The provenance statements that are.
    pub provenance: Vec<Evidence>,
    /// Documents that are attached but do not count, with the reason.
    pub rejected: Vec<String>,
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
        check_pin(pointer, expectations.digest, digest)?;
        if let Some(key) = &expectations.key {
            signature::verify_signature(repository, &digest, key).await?;
        }
        let module_digest = if expectations.image {
            check_image(repository, &raw).await?;
            None
        } else {
            let module = pull::module(repository, &raw.image(repository.limits())?).await?;
            Some(Digest::of(&module))
        };
        let subject = Subject {
            artifact: &digest,
            named: module_digest.as_ref().unwrap_or(&digest),
            key: expectations.key.as_ref(),
        };
        let mut found = evidence::collect(repository, &subject).await?;
        check_documents(&mut found, expectations, digest)?;
        Ok(Verified {
            digest,
            module_digest,
            signed: expectations.key.is_some(),
            sboms: found.bills,
            provenance: found.provenance,
            rejected: found
                .rejected
                .into_iter()
                .map(|(digest, error)| format!("{digest}: {error}"))
                .collect(),
        })
    };
    repository.limits().within("verify", work).await
}

/// Every part of an image is what the manifest says.
async fn check_image(repository: &dyn Repository, raw: &RawManifest) -> Result<(), Error> {
    let manifest = raw.image(repository.limits())?;
    if manifest.config.media_type != media::IMAGE_CONFIG {
        return Err(Error::Unsuitable(format!(
            "expected a container image, got {}",
            raw.digest()
        )));
    }
    fetch::check_others(repository, &manifest, None).await
}

fn check_pin(pointer: &Pointer, expected: Option<Digest>, actual: Digest) -> Result<(), Error> {
    match expected {
        Some(expected) if expected != actual => Err(Error::DigestMismatch {
            what: format!("{pointer}"),
            expected,
            actual,
        }),
        _ => Ok(()),
    }
}

fn check_documents(
    found: &mut Found,
    expectations: &Expectations,
    digest: Digest,
) -> Result<(), Error> {
    let wanted = [
        (
            expectations.sbom,
            found.bills.is_empty(),
            "bill of materials",
        ),
        (
            expectations.provenance,
            found.provenance.is_empty(),
            "provenance",
        ),
    ];
    for (is_wanted, is_missing, what) in wanted {
        if is_wanted && is_missing {
            return Err(Error::NoDocument {
                what,
                digest,
                rejected: found
                    .rejected
                    .drain(..)
                    .next()
                    .map(|(document, error)| Box::new((document, error))),
            });
        }
    }
    Ok(())
}
