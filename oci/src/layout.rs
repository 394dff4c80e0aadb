//! An OCI image layout directory in the place of a registry, for those who have none and for air gaps.
//!
//! Files appear under their names only when complete, so a process that dies leaves a valid layout behind. Two
//! processes that write to one layout at the same time may lose a tag of one of them, as with every tool.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use crate::manifest::{Descriptor, Index, RawManifest};
use crate::repository::BlobStream;
use crate::{Digest, Error, Limits, Pointer, Repository, file};

/// Annotation that holds a manifest's tag in `index.json`.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const LAYOUT_FILE: &str = "oci-layout";
const LAYOUT_VERSION: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
/// Manifests in one layout; a directory is trusted more than a registry, but not without end.
const MOST_MANIFESTS: usize = 10_000;
const PIECE: usize = 64 << 10;

/// An image layout directory. It comes to be with the first thing stored.
#[derive(Debug, Clone)]
pub struct Layout {
    dir: PathBuf,
    limits: Limits,
}

impl Layout {
    /// The layout in `dir`, which need not exist yet.
    pub fn new(dir: impl Into<PathBuf>, limits: Limits) -> Self {
        Self {
            dir: dir.into(),
            limits,
        }
    }

    fn path_of(&self, digest: &Digest) -> PathBuf {
        self.dir.join("blobs/sha256").join(digest.hex())
    }

    async fn index(&self) -> Result<Index, Error> {
        let path = self.dir.join("index.json");
        // A descriptor takes a few hundred bytes.
        match read_bounded(&path, MOST_MANIFESTS as u64 * 1024).await {
            Ok(bytes) => Index::parse("index.json", &bytes, MOST_MANIFESTS),
            Err(Error::NotFound { .. }) => Ok(Index::default()),
            Err(error) => Err(error),
        }
    }

    /// What `index.json` lists, and what the indexes in it list: an image for several platforms is one index there.
    async fn entries(&self) -> Result<Vec<Descriptor>, Error> {
        let mut listed = VecDeque::from(self.index().await?.manifests);
        let mut known = BTreeSet::new();
        let mut entries = Vec::new();
        while let Some(entry) = listed.pop_front() {
            if !known.insert(entry.digest) {
                continue;
            }
            if entry.is_index() {
                listed.extend(self.members(&entry).await?);
            }
            entries.push(entry);
            let count = entries.len() + listed.len();
            if count > MOST_MANIFESTS {
                return Err(Error::TooMany {
                    what: format!("manifests in {}", self.dir.display()),
                    count,
                    limit: MOST_MANIFESTS,
                });
            }
        }
        Ok(entries)
    }

    async fn members(&self, index: &Descriptor) -> Result<Vec<Descriptor>, Error> {
        let Some(raw) = self.find(index).await? else {
            return Ok(Vec::new());
        };
        Ok(Index::parse("index", &raw.bytes, MOST_MANIFESTS)?.manifests)
    }

    async fn resolve(&self, pointer: &Pointer) -> Result<Descriptor, Error> {
        let listed = self.index().await?.manifests;
        let mut found = listed.into_iter().find(|entry| is_named(entry, pointer));
        if let (None, Pointer::Digest(digest)) = (&found, pointer) {
            let mut entries = self.entries().await?.into_iter();
            found = entries.find(|entry| entry.digest == *digest);
        }
        found.ok_or_else(|| Error::NotFound {
            what: format!("{pointer} in {}", self.dir.display()),
        })
    }

    /// `None` if it is not there: a layout need not hold all that its indexes list.
    async fn find(&self, entry: &Descriptor) -> Result<Option<RawManifest>, Error> {
        match self.read(entry).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn read(&self, entry: &Descriptor) -> Result<RawManifest, Error> {
        let bytes = read_bounded(&self.path_of(&entry.digest), self.limits.manifest_bytes).await?;
        let manifest = RawManifest {
            media_type: entry.media_type.clone(),
            bytes: bytes.into(),
        };
        check_digest(&manifest, entry.digest)?;
        Ok(manifest)
    }

    async fn write_index(&self, index: &Index) -> Result<(), Error> {
        self.write(&self.dir.join(LAYOUT_FILE), LAYOUT_VERSION.into())
            .await?;
        self.write(&self.dir.join("index.json"), index.to_raw().bytes)
            .await
    }

    async fn write(&self, path: &Path, bytes: Bytes) -> Result<(), Error> {
        let target = path.to_owned();
        let written =
            tokio::task::spawn_blocking(move || file::write_atomically(&target, &bytes)).await;
        written
            .unwrap_or_else(|panicked| Err(io::Error::other(panicked)))
            .map_err(Error::io(path))
    }
}

fn is_named(entry: &Descriptor, pointer: &Pointer) -> bool {
    match pointer {
        Pointer::Tag(tag) => entry.annotations.get(REF_NAME) == Some(tag),
        Pointer::Digest(digest) => entry.digest == *digest,
    }
}

#[async_trait]
impl Repository for Layout {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    async fn manifest(&self, pointer: &Pointer) -> Result<RawManifest, Error> {
        self.read(&self.resolve(pointer).await?).await
    }

    async fn blob(&self, blob: &Descriptor, offset: u64) -> Result<BlobStream, Error> {
        let path = self.path_of(&blob.digest);
        let mut file = open(&path).await?;
        file.seek(io::SeekFrom::Start(offset))
            .await
            .map_err(Error::io(&path))?;
        let pieces = stream::try_unfold((file, path), |(mut file, path)| async move {
            let mut piece = Vec::with_capacity(PIECE);
            let read = file.read_buf(&mut piece).await.map_err(Error::io(&path))?;
            Ok((read > 0).then(|| (Bytes::from(piece), (file, path))))
        });
        Ok(BlobStream {
            offset,
            bytes: pieces.boxed(),
        })
    }

    async fn has_blob(&self, blob: &Descriptor) -> Result<bool, Error> {
        let path = self.path_of(&blob.digest);
        match tokio::fs::metadata(&path).await {
            Ok(metadata) => Ok(metadata.is_file() && metadata.len() == blob.size),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io(&path)(error)),
        }
    }

    async fn put_blob(&self, blob: &Descriptor, bytes: Bytes) -> Result<(), Error> {
        self.write(&self.path_of(&blob.digest), bytes).await
    }

    async fn put_manifest(&self, pointer: &Pointer, manifest: &RawManifest) -> Result<(), Error> {
        self.write(&self.path_of(&manifest.digest()), manifest.bytes.clone())
            .await?;
        let mut index = self.index().await?;
        let mut entry = manifest.descriptor();
        match pointer {
            Pointer::Tag(tag) => {
                // An untagged entry of the same manifest is replaced by the tagged one.
                index
                    .manifests
                    .retain(|old| !is_named(old, pointer) && !is_untagged(old, &entry));
                entry = entry.annotated(REF_NAME, tag);
            }
            Pointer::Digest(digest) if index.manifests.iter().any(|old| old.digest == *digest) => {
                return Ok(());
            }
            Pointer::Digest(_) => {}
        }
        index.manifests.push(entry);
        self.write_index(&index).await
    }

    async fn referrers(&self, subject: &Digest) -> Result<Option<Vec<Descriptor>>, Error> {
        let mut referrers = Vec::new();
        for entry in self.entries().await? {
            if let Some(referrer) = self.referrer(&entry, subject).await? {
                referrers.push(referrer);
            }
        }
        Ok(Some(referrers))
    }
}

impl Layout {
    async fn referrer(
        &self,
        entry: &Descriptor,
        subject: &Digest,
    ) -> Result<Option<Descriptor>, Error> {
        let Some(manifest) = self.find(entry).await? else {
            return Ok(None);
        };
        let Ok(image) = manifest.image(&self.limits) else {
            return Ok(None);
        };
        let refers = image
            .subject
            .as_ref()
            .is_some_and(|other| other.digest == *subject);
        Ok(refers.then(|| Descriptor {
            annotations: image.annotations.clone(),
            artifact_type: Some(image.kind()),
            ..manifest.descriptor()
        }))
    }
}

fn is_untagged(old: &Descriptor, new: &Descriptor) -> bool {
    old.digest == new.digest && !old.annotations.contains_key(REF_NAME)
}

pub(crate) fn check_digest(manifest: &RawManifest, expected: Digest) -> Result<(), Error> {
    let actual = manifest.digest();
    if actual == expected {
        Ok(())
    } else {
        Err(Error::DigestMismatch {
            what: "manifest".to_owned(),
            expected,
            actual,
        })
    }
}

async fn open(path: &Path) -> Result<tokio::fs::File, Error> {
    tokio::fs::File::open(path)
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::NotFound {
                what: path.display().to_string(),
            },
            _ => Error::io(path)(error),
        })
}

async fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = open(path)
        .await?
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .await;
    read.map_err(Error::io(path))?;
    if bytes.len() as u64 > limit {
        return Err(Error::TooLarge {
            what: path.display().to_string(),
            limit,
        });
    }
    Ok(bytes)
}
