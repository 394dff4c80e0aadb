//! Mirroring an artifact, with all that refers to it, byte for byte: into an air-gapped registry, say.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::manifest::{Descriptor, Index, RawManifest};
use crate::repository::{ensure_blob, ensure_manifest, find_manifest};
use crate::{Digest, Error, Pointer, Repository, fetch, referrers};

/// How far referrers of referrers, and indexes in indexes, are followed.
const MOST_STEPS: usize = 4;

/// What a copy did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// Digest of the manifest, the same on both sides.
    pub digest: Digest,
    /// Manifests that came along: referrers, signatures, members of an index.
    pub companions: usize,
    /// Blobs and manifests sent; 0 if everything was there.
    pub uploads: usize,
}

/// Copies what `from` points to, and everything that refers to it, to `to` in another repository.
///
/// # Errors
/// When something cannot be fetched, is not what its digest says, or cannot be stored.
pub async fn copy(
    source: &dyn Repository,
    from: &Pointer,
    target: &dyn Repository,
    to: &Pointer,
) -> Result<Copied, Error> {
    let work = async {
        let manifest = source.manifest(from).await?;
        let digest = manifest.digest();
        if let Pointer::Digest(other) = to
            && *other != digest
        {
            return Err(Error::Unsuitable(format!(
                "{from} has digest {digest} and cannot become {other}"
            )));
        }
        let mut copy = Copy {
            source,
            target,
            done: BTreeSet::new(),
            uploads: 0,
        };
        copy.manifest(&manifest, to, 0).await?;
        Ok(Copied {
            digest,
            companions: copy.done.len() - 1,
            uploads: copy.uploads,
        })
    };
    source.limits().within("copy", work).await
}

struct Copy<'a> {
    source: &'a dyn Repository,
    target: &'a dyn Repository,
    done: BTreeSet<Digest>,
    uploads: usize,
}

impl Copy<'_> {
    async fn manifest(
        &mut self,
        manifest: &RawManifest,
        to: &Pointer,
        step: usize,
    ) -> Result<(), Error> {
        let digest = manifest.digest();
        if !self.done.insert(digest) {
            return Ok(());
        }
        if step > MOST_STEPS {
            return Err(Error::TooMany {
                what: "manifests behind one another".to_owned(),
                count: step,
                limit: MOST_STEPS,
            });
        }
        self.contents(manifest, step).await?;
        self.uploads += usize::from(ensure_manifest(self.target, to, manifest).await?);
        self.referrers(&digest, step).await?;
        self.signatures(&digest, step).await
    }

    async fn contents(&mut self, manifest: &RawManifest, step: usize) -> Result<(), Error> {
        let limits = self.source.limits();
        if manifest.is_index() {
            for member in Index::parse("index", &manifest.bytes, limits.layers)?.manifests {
                self.by_digest(&member, step + 1).await?;
            }
            return Ok(());
        }
        for blob in manifest.image(limits)?.blobs() {
            self.blob(blob).await?;
        }
        Ok(())
    }

    async fn blob(&mut self, blob: &Descriptor) -> Result<(), Error> {
        if self.target.has_blob(blob).await? {
            return Ok(());
        }
        let bytes = fetch::blob(self.source, blob).await?;
        self.uploads += usize::from(ensure_blob(self.target, blob, &bytes).await?);
        Ok(())
    }

    async fn referrers(&mut self, subject: &Digest, step: usize) -> Result<(), Error> {
        for referrer in referrers::referrers(self.source, subject).await? {
            self.by_digest(&referrer, step + 1).await?;
            self.uploads +=
                usize::from(referrers::list_in_tag(self.target, subject, referrer).await?);
        }
        Ok(())
    }

    async fn signatures(&mut self, subject: &Digest, step: usize) -> Result<(), Error> {
        for tag in referrers::cosign_tags(subject) {
            if let Some(manifest) = find_manifest(self.source, &tag).await? {
                Box::pin(self.manifest(&manifest, &tag, step + 1)).await?;
            }
        }
        Ok(())
    }

    async fn by_digest(&mut self, entry: &Descriptor, step: usize) -> Result<(), Error> {
        let pointer = Pointer::Digest(entry.digest);
        let manifest = self.source.manifest(&pointer).await?;
        Box::pin(self.manifest(&manifest, &pointer, step)).await
    }
}
