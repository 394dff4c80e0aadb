//! Getting the module out of an artifact, and onto disk only when everything about it was right.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Serialize;
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt as _;

use crate::fetch::{self, Progress};
use crate::manifest::{Descriptor, Manifest};
use crate::{Digest, Error, Module, Pointer, Repository, archive, file, media};

/// What was pulled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pulled {
    /// Digest of the manifest: what a WasmPlugin pins.
    pub digest: Digest,
    /// Digest of the module.
    pub module_digest: Digest,
    /// Bytes of the module.
    pub size: u64,
    /// Where it is now.
    pub path: PathBuf,
}

/// Fetches the module of the artifact at `pointer` into the file `path`.
///
/// The file appears with its final name only when it is complete, a Wasm module, and on disk, and all that the manifest
/// names was verified. A file that was there before is replaced then, and untouched by any failure.
///
/// # Errors
/// Anything that is not as announced, or not within the repository's limits.
pub async fn pull(
    repository: &dyn Repository,
    pointer: &Pointer,
    path: &Path,
    progress: Progress<'_>,
) -> Result<Pulled, Error> {
    repository
        .limits()
        .within("pull", pull_unbounded(repository, pointer, path, progress))
        .await
}

async fn pull_unbounded(
    repository: &dyn Repository,
    pointer: &Pointer,
    path: &Path,
    progress: Progress<'_>,
) -> Result<Pulled, Error> {
    let raw = repository.manifest(pointer).await?;
    let manifest = raw.image(repository.limits())?;
    let content = content_of(&manifest)?;
    let download = file::temporary_in(file::directory_of(path)).map_err(Error::io(path))?;
    download_to(repository, content.blob(), &download, progress).await?;
    fetch::check_others(repository, &manifest, Some(&content.blob().digest)).await?;
    let (module, finished) = finish(download, content, repository.limits().module_bytes).await?;
    let target = path.to_owned();
    let persisted = tokio::task::spawn_blocking(move || file::persist(finished, &target)).await;
    persisted
        .unwrap_or_else(|e| Err(std::io::Error::other(e)))
        .map_err(Error::io(path))?;
    Ok(Pulled {
        digest: raw.digest(),
        module_digest: Digest::of(&module),
        size: module.len() as u64,
        path: path.to_owned(),
    })
}

/// Fetches the module of an artifact into memory, and verifies all else that the manifest names.
pub(crate) async fn module(
    repository: &dyn Repository,
    manifest: &Manifest,
) -> Result<Bytes, Error> {
    let content = content_of(manifest)?;
    let bytes = fetch::blob(repository, content.blob()).await?;
    fetch::check_others(repository, manifest, Some(&content.blob().digest)).await?;
    content.module(bytes, repository.limits().module_bytes)
}

/// The layer that holds the module, in one of the shapes Istio takes.
#[derive(Clone)]
enum Content {
    Raw(Descriptor),
    Archive(Descriptor),
}

fn content_of(manifest: &Manifest) -> Result<Content, Error> {
    if let Some(raw) = manifest
        .layers
        .iter()
        .find(|layer| layer.media_type == media::WASM_LAYER)
    {
        return Ok(Content::Raw(raw.clone()));
    }
    match manifest.layers.last() {
        Some(last)
            if matches!(
                last.media_type.as_str(),
                media::IMAGE_LAYER | media::DOCKER_LAYER
            ) =>
        {
            Ok(Content::Archive(last.clone()))
        }
        _ => {
            let kinds: Vec<_> = manifest
                .layers
                .iter()
                .map(|layer| layer.media_type.as_str())
                .collect();
            Err(Error::NoModule(crate::error::excerpt(&kinds.join(", "))))
        }
    }
}

impl Content {
    fn blob(&self) -> &Descriptor {
        match self {
            Self::Raw(blob) | Self::Archive(blob) => blob,
        }
    }

    fn module(&self, blob: Bytes, limit: u64) -> Result<Bytes, Error> {
        let module = match self {
            Self::Raw(_) => blob,
            Self::Archive(_) => archive::unpack(&blob, limit)?,
        };
        Module::read(&module)?;
        Ok(module)
    }
}

async fn download_to(
    repository: &dyn Repository,
    blob: &Descriptor,
    target: &NamedTempFile,
    progress: Progress<'_>,
) -> Result<(), Error> {
    let handle = target
        .as_file()
        .try_clone()
        .map_err(Error::io(target.path()))?;
    let mut file = tokio::fs::File::from_std(handle);
    fetch::blob_into(repository, blob, &mut file, progress).await?;
    file.flush().await.map_err(Error::io(target.path()))
}

/// The module, and the file that holds it alone.
async fn finish(
    download: NamedTempFile,
    content: Content,
    limit: u64,
) -> Result<(Bytes, NamedTempFile), Error> {
    let path = download.path().to_owned();
    let failed = Error::io(&path);
    let work = tokio::task::spawn_blocking(move || {
        let at = download.path().to_owned();
        let module = content.module(std::fs::read(&at).map_err(Error::io(&at))?.into(), limit)?;
        if let Content::Archive(_) = content {
            let file = download.as_file();
            file.set_len(0).map_err(Error::io(&at))?;
            std::fs::write(&at, &module).map_err(Error::io(&at))?;
        }
        Ok((module, download))
    });
    work.await
        .unwrap_or_else(|panicked| Err(failed(std::io::Error::other(panicked))))
}
