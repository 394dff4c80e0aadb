//! The one thing that a registry and an image layout directory have in common.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::manifest::{Descriptor, RawManifest};
use crate::{Digest, Error, Limits, Pointer};

/// One repository of manifests and blobs.
///
/// Implementations move bytes within [`Limits`] and nothing else: digests and sizes of blobs are checked by the
/// operations of this crate, the same way for all of them. Manifests asked for by digest come checked.
#[async_trait]
pub trait Repository: Send + Sync {
    /// The bounds that operations on this repository keep to.
    fn limits(&self) -> &Limits;

    /// A manifest.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none; [`Error::DigestMismatch`] if it is not what the digest names.
    async fn manifest(&self, pointer: &Pointer) -> Result<RawManifest, Error>;

    /// Bytes of a blob from `offset` on. The answer says where it starts, which may be earlier.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    async fn blob(&self, blob: &Descriptor, offset: u64) -> Result<BlobStream, Error>;

    /// Whether a blob is already there.
    ///
    /// # Errors
    /// When the question cannot be answered.
    async fn has_blob(&self, blob: &Descriptor) -> Result<bool, Error>;

    /// Stores a blob.
    ///
    /// # Errors
    /// When it is not known to be stored.
    async fn put_blob(&self, blob: &Descriptor, bytes: Bytes) -> Result<(), Error>;

    /// Stores a manifest under a tag or its own digest. Its blobs must be there already.
    ///
    /// # Errors
    /// When it is not known to be stored.
    async fn put_manifest(&self, pointer: &Pointer, manifest: &RawManifest) -> Result<(), Error>;

    /// The manifests whose subject is `subject`, or `None` where the repository keeps no such list by itself.
    ///
    /// # Errors
    /// When there is a list that cannot be had.
    async fn referrers(&self, subject: &Digest) -> Result<Option<Vec<Descriptor>>, Error>;
}

/// A blob, or the rest of one.
pub struct BlobStream {
    /// Where in the blob the bytes start.
    pub offset: u64,
    /// The bytes.
    pub bytes: BoxStream<'static, Result<Bytes, Error>>,
}

/// The manifest at `pointer`, or `None` where there is none.
pub(crate) async fn find_manifest(
    repository: &dyn Repository,
    pointer: &Pointer,
) -> Result<Option<RawManifest>, Error> {
    match repository.manifest(pointer).await {
        Ok(manifest) => Ok(Some(manifest)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Stores a blob unless it is there. True if bytes were sent.
pub(crate) async fn ensure_blob(
    repository: &dyn Repository,
    blob: &Descriptor,
    bytes: &Bytes,
) -> Result<bool, Error> {
    let missing = !repository.has_blob(blob).await?;
    if missing {
        repository.put_blob(blob, bytes.clone()).await?;
    }
    Ok(missing)
}

/// Stores a manifest unless it is there under that very name. True if bytes were sent.
pub(crate) async fn ensure_manifest(
    repository: &dyn Repository,
    pointer: &Pointer,
    manifest: &RawManifest,
) -> Result<bool, Error> {
    let there = find_manifest(repository, pointer).await?;
    let missing = there.is_none_or(|there| there.bytes != manifest.bytes);
    if missing {
        repository.put_manifest(pointer, manifest).await?;
    }
    Ok(missing)
}
