//! Storing an artifact and what belongs to it. What is there already is not sent again.

use serde::Serialize;

use crate::fetch::{Progress, unobserved};
use crate::manifest::{Descriptor, RawManifest};
use crate::repository::{ensure_blob, ensure_manifest};
use crate::{Artifact, Digest, Document, Error, Pointer, Repository, referrers};

/// What a push did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pushed {
    /// Digest of the manifest: what a WasmPlugin pins.
    pub digest: Digest,
    /// Bytes of the manifest.
    pub size: u64,
    /// Blobs and manifests sent; 0 if everything was there.
    pub uploads: usize,
}

/// Stores `artifact` under `tag`.
///
/// # Errors
/// When it is not known to be stored in full.
pub async fn push(
    repository: &dyn Repository,
    tag: &str,
    artifact: &Artifact,
    progress: Progress<'_>,
) -> Result<Pushed, Error> {
    let pointer = Pointer::Tag(tag.to_owned());
    repository
        .limits()
        .within("push", store(repository, &pointer, artifact, progress))
        .await
}

/// Stores `document` as a referrer of `subject`, which must be stored in the same repository.
///
/// # Errors
/// When it is not known to be stored and listed.
pub async fn attach(
    repository: &dyn Repository,
    subject: &RawManifest,
    document: &Document,
) -> Result<Pushed, Error> {
    let Document {
        media_type,
        title,
        bytes,
    } = document;
    let artifact = Artifact::about(subject.descriptor(), media_type, bytes.clone(), title);
    let pointer = Pointer::Digest(artifact.manifest().digest());
    let work = async {
        let mut pushed = store(repository, &pointer, &artifact, &unobserved).await?;
        let entry = Descriptor {
            artifact_type: Some(media_type.clone()),
            ..artifact.manifest().descriptor()
        };
        pushed.uploads +=
            usize::from(referrers::list_in_tag(repository, &subject.digest(), entry).await?);
        Ok(pushed)
    };
    repository.limits().within("attach", work).await
}

pub(crate) async fn store(
    repository: &dyn Repository,
    pointer: &Pointer,
    artifact: &Artifact,
    progress: Progress<'_>,
) -> Result<Pushed, Error> {
    let mut uploads = 0;
    for (blob, bytes) in artifact.blobs() {
        progress(blob, 0);
        uploads += usize::from(ensure_blob(repository, blob, bytes).await?);
        progress(blob, blob.size);
    }
    let manifest = artifact.manifest();
    uploads += usize::from(ensure_manifest(repository, pointer, manifest).await?);
    Ok(Pushed {
        digest: manifest.digest(),
        size: manifest.bytes.len() as u64,
        uploads,
    })
}
