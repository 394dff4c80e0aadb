//! The documents that refer to an artifact, each checked before it counts.
//!
//! Anybody who may write to a repository can attach anything to anything. So a document counts only if its manifest
//! names the artifact as its subject, its content is what the kind says and names the module (an image's: the manifest) by SHA-256, and, where a
//! key is given, that key signed the document's manifest: the artifact's own signature says nothing about what
//! was attached to it later. Whatever fails is set aside and does not spoil what is right beside it.

use serde::Serialize;

use crate::document::read_about;
use crate::manifest::{Descriptor, Manifest};
use crate::{Digest, Error, Pointer, PublicKey, Repository, fetch, referrers, signature};
use lazymesh_documents::Kind;

/// Largest document that is read, in bytes. Ours has some ten thousand.
const MOST_DOCUMENT: u64 = 16 << 20;

/// A document that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Kind of the document: see [`crate::media`].
    pub media_type: String,
    /// Digest of the manifest that attaches it.
    pub digest: Digest,
    /// Whether its manifest is signed by the key that was given; false without one.
    pub signed: bool,
}

/// What was found beside an artifact.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) bills: Vec<Evidence>,
    pub(crate) provenance: Vec<Evidence>,
    /// Why others do not count.
    pub(crate) rejected: Vec<(Digest, Error)>,
}

/// What the documents must fit.
pub(crate) struct Subject<'a> {
    /// Digest of the artifact's manifest.
    pub(crate) artifact: &'a Digest,
    /// What documents must name: the digest of its module, or of an image's manifest.
    pub(crate) named: &'a Digest,
    /// Who must have signed the documents.
    pub(crate) key: Option<&'a PublicKey>,
}

/// Looks at all documents that refer to the artifact.
///
/// # Errors
/// When the list of referrers cannot be had. A document that cannot be had is one that does not count.
pub(crate) async fn collect(
    repository: &dyn Repository,
    subject: &Subject<'_>,
) -> Result<Found, Error> {
    let mut found = Found::default();
    for referrer in referrers::referrers(repository, subject.artifact).await? {
        let Some(kind) = referrer.artifact_type.as_deref().and_then(kind_of) else {
            continue;
        };
        match examine(repository, subject, &referrer, kind).await {
            Ok(evidence) if kind.is_bill_of_materials() => found.bills.push(evidence),
            Ok(evidence) => found.provenance.push(evidence),
            Err(error) => found.rejected.push((referrer.digest, error)),
        }
    }
    Ok(found)
}

fn kind_of(artifact_type: &str) -> Option<Kind> {
    Kind::ALL
        .into_iter()
        .find(|kind| kind.media_type() == artifact_type)
}

async fn examine(
    repository: &dyn Repository,
    subject: &Subject<'_>,
    referrer: &Descriptor,
    kind: Kind,
) -> Result<Evidence, Error> {
    let raw = repository
        .manifest(&Pointer::Digest(referrer.digest))
        .await?;
    let manifest = raw.image(repository.limits())?;
    check_subject(&manifest, subject.artifact)?;
    let bytes = fetch::blob(repository, document_in(&manifest, kind)?).await?;
    if read_about(subject.named, &bytes)?.kind != kind {
        return Err(Error::malformed(
            "document",
            "it is of another kind than its layer says",
        ));
    }
    if let Some(key) = subject.key {
        signature::verify_signature(repository, &referrer.digest, key).await?;
    }
    Ok(Evidence {
        media_type: kind.media_type().to_owned(),
        digest: referrer.digest,
        signed: subject.key.is_some(),
    })
}

pub(crate) fn check_subject(manifest: &Manifest, artifact: &Digest) -> Result<(), Error> {
    match &manifest.subject {
        Some(subject) if subject.digest == *artifact => Ok(()),
        _ => Err(Error::malformed(
            "referrer",
            "its subject is another manifest",
        )),
    }
}

fn document_in(manifest: &Manifest, kind: Kind) -> Result<&Descriptor, Error> {
    let [layer] = manifest.layers.as_slice() else {
        return Err(Error::malformed("referrer", "a document is one layer"));
    };
    if layer.media_type != kind.media_type() {
        return Err(Error::malformed(
            "referrer",
            "its layer is of another kind than the list says",
        ));
    }
    if layer.size > MOST_DOCUMENT {
        return Err(Error::TooLarge {
            what: "document".to_owned(),
            limit: MOST_DOCUMENT,
        });
    }
    Ok(layer)
}
