//! What refers to an artifact: from the referrers API, or from the tag that stands in for it.
//!
//! A registry without the API leaves the list to its clients, under the tag `sha256-<digest>`. They read it, add a
//! line and write it back, so of two clients that do this at the same moment one may be lost: the protocol knows no
//! better.

use crate::manifest::{Descriptor, Index, Manifest};
use crate::repository::{ensure_manifest, find_manifest};
use crate::{Digest, Error, Pointer, Repository, media};

/// Suffixes of the tags under which cosign keeps what it has to say about a digest.
const COSIGN_SUFFIXES: [&str; 3] = ["sig", "att", "sbom"];

/// The manifests that refer to `subject`, at most [`crate::Limits::referrers`].
///
/// Each has its kind (`artifact_type`), also where the registry's list does not tell.
///
/// # Errors
/// When there is a list that cannot be had or understood.
pub async fn referrers(
    repository: &dyn Repository,
    subject: &Digest,
) -> Result<Vec<Descriptor>, Error> {
    let mut found = match repository.referrers(subject).await? {
        Some(found) => found,
        None => tagged_index(repository, subject).await?.manifests,
    };
    let limit = repository.limits().referrers;
    if found.len() > limit {
        return Err(Error::TooMany {
            what: format!("referrers of {subject}"),
            count: found.len(),
            limit,
        });
    }
    for entry in &mut found {
        if is_vague(entry) {
            // What is listed but cannot be had stays what the list says.
            let manifest = repository.manifest(&Pointer::Digest(entry.digest)).await;
            let image = manifest.and_then(|manifest| manifest.image(repository.limits()));
            entry.artifact_type = image.ok().map(Manifest::kind);
        }
    }
    Ok(found)
}

/// Some lists leave the kind out; some registries (go-containerregistry's is one) know no kind but that of the config.
fn is_vague(entry: &Descriptor) -> bool {
    entry
        .artifact_type
        .as_deref()
        .is_none_or(|kind| kind == media::EMPTY)
}

/// Adds `entry` to the tag's list where the repository keeps none by itself. True if something was sent.
pub(crate) async fn list_in_tag(
    repository: &dyn Repository,
    subject: &Digest,
    entry: Descriptor,
) -> Result<bool, Error> {
    if repository.referrers(subject).await?.is_some() {
        return Ok(false);
    }
    let mut index = tagged_index(repository, subject).await?;
    if index
        .manifests
        .iter()
        .any(|known| known.digest == entry.digest)
    {
        return Ok(false);
    }
    index.manifests.push(entry);
    ensure_manifest(repository, &tag_of(subject), &index.to_raw()).await
}

async fn tagged_index(repository: &dyn Repository, subject: &Digest) -> Result<Index, Error> {
    match find_manifest(repository, &tag_of(subject)).await? {
        Some(manifest) => Index::parse(
            "list of referrers",
            &manifest.bytes,
            repository.limits().referrers,
        ),
        None => Ok(Index::default()),
    }
}

fn tag_of(subject: &Digest) -> Pointer {
    Pointer::Tag(format!("sha256-{}", subject.hex()))
}

/// Tag of the signatures that cosign makes of `subject`.
pub(crate) fn signature_tag(subject: &Digest) -> Pointer {
    cosign_tag(subject, "sig")
}

/// Every tag under which cosign may keep something about `subject`.
pub(crate) fn cosign_tags(subject: &Digest) -> impl Iterator<Item = Pointer> {
    COSIGN_SUFFIXES
        .iter()
        .map(|suffix| cosign_tag(subject, suffix))
}

fn cosign_tag(subject: &Digest, suffix: &str) -> Pointer {
    Pointer::Tag(format!("sha256-{}.{suffix}", subject.hex()))
}
