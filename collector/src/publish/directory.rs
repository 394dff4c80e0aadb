//! Writes Sidecars as files: `<namespace>/<name>.yaml`, each whole or not there, whatever happens in between.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use lazymesh_core::{EgressScope, MANAGED_BY, SidecarSpec, is_object_name};
use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::inventory::directory::scan;
use crate::inventory::directory::yaml::{self, Document};
use crate::publish::sink::{PublishOutcome, Published, Sink, SinkError};
use crate::runtime::fsync;

const HEADER: &str = "# Written by lazymesh, which overwrites changes made here.\n";
const EXTENSION: &str = "yaml";
/// Names that no manifest has: inventories and people skip hidden files.
const TEMPORARY_PREFIX: &str = ".lazymesh-";

/// [`Sink`] on a directory, to be committed to git or applied by somebody else.
///
/// A file is written beside its place, synced and then renamed, so a reader sees the old file or the new one.
/// A file that already reads as it should is not touched: its inode and times stay. Files that do not
/// carry the label `app.kubernetes.io/managed-by: lazymesh`, and those that cannot be read as YAML, are left
/// alone.
#[derive(Clone, Debug)]
pub(crate) struct DirectorySink {
    root: PathBuf,
    /// The directory itself, locked: a file for it would end up in somebody's git.
    _lock: Arc<File>,
}

impl DirectorySink {
    /// Publishes below this directory, which is created when it is missing. Blocks.
    ///
    /// # Errors
    /// [`SinkError::Io`] when the directory cannot be created or read, [`SinkError::Locked`] when another collector has it.
    pub(crate) fn open(root: &Path) -> Result<Self, SinkError> {
        fsync::create_dir_all(root).map_err(SinkError::io(root))?;
        let sink = Self {
            root: root.to_owned(),
            _lock: Arc::new(lock(root)?),
        };
        sink.remove_leftovers()?;
        Ok(sink)
    }

    /// Removes what a collector that was killed while writing left behind.
    fn remove_leftovers(&self) -> Result<(), SinkError> {
        for (_, dir) in self.namespaces()? {
            for (name, path) in entries(&dir)? {
                if name.starts_with(TEMPORARY_PREFIX) {
                    fs::remove_file(&path).map_err(SinkError::io(&path))?;
                }
            }
        }
        Ok(())
    }

    fn write(
        &self,
        sidecar: &SidecarSpec,
        scope: &EgressScope,
    ) -> Result<PublishOutcome, SinkError> {
        let path = self.path(&sidecar.namespace, &sidecar.name)?;
        let text = render(&sidecar.manifest_with(scope), &path)?;
        let outcome = match existing(&path)? {
            None => PublishOutcome::Created,
            Some(Existing::Ours(there)) if there == text => return Ok(PublishOutcome::Unchanged),
            Some(Existing::Ours(_)) => PublishOutcome::Updated,
            Some(Existing::NotOurs) => return Err(not_ours(&path)),
        };
        let dir = self.root.join(&sidecar.namespace);
        fsync::create_dir_all(&dir).map_err(SinkError::io(&dir))?;
        replace(&dir, &path, &text, outcome)?;
        Ok(outcome)
    }

    fn read(&self, place: &Published) -> Result<Option<EgressScope>, SinkError> {
        let path = self.path(&place.namespace, &place.name)?;
        let Some(Existing::Ours(text)) = existing(&path)? else {
            return Ok(None);
        };
        let documents = yaml::documents(&text);
        let sidecar = documents.iter().flatten().next();
        Ok(sidecar.map(|document| EgressScope::of(&document.value)))
    }

    fn remove(&self, namespace: &str, name: &str) -> Result<bool, SinkError> {
        let path = self.path(namespace, name)?;
        match existing(&path)? {
            None => return Ok(false),
            Some(Existing::NotOurs) => return Err(not_ours(&path)),
            Some(Existing::Ours(_)) => {}
        }
        fs::remove_file(&path).map_err(SinkError::io(&path))?;
        let dir = self.root.join(namespace);
        fsync::sync_dir(&dir).map_err(SinkError::io(&dir))?;
        Ok(true)
    }

    fn find(&self) -> Result<Vec<Published>, SinkError> {
        let mut found = Vec::new();
        for (namespace, dir) in self.namespaces()? {
            for (file, path) in entries(&dir)? {
                let Some(name) = file
                    .strip_suffix(".yaml")
                    .filter(|name| is_object_name(name))
                else {
                    continue;
                };
                if let Some(Existing::Ours(_)) = existing(&path)? {
                    found.push(Published {
                        namespace: namespace.clone(),
                        name: name.to_owned(),
                    });
                }
            }
        }
        found.sort();
        Ok(found)
    }

    fn namespaces(&self) -> Result<Vec<(String, PathBuf)>, SinkError> {
        let mut dirs = entries(&self.root)?;
        dirs.retain(|(name, path)| is_object_name(name) && path.is_dir());
        Ok(dirs)
    }

    fn path(&self, namespace: &str, name: &str) -> Result<PathBuf, SinkError> {
        for part in [namespace, name] {
            if !is_object_name(part) {
                return Err(SinkError::Name {
                    name: part.to_owned(),
                });
            }
        }
        Ok(self
            .root
            .join(namespace)
            .join(format!("{name}.{EXTENSION}")))
    }
}

#[async_trait]
impl Sink for DirectorySink {
    async fn apply(
        &self,
        sidecar: &SidecarSpec,
        scope: &EgressScope,
    ) -> Result<PublishOutcome, SinkError> {
        let (sink, sidecar, scope) = (self.clone(), sidecar.clone(), scope.clone());
        self.blocking(move || sink.write(&sidecar, &scope)).await
    }

    async fn live(&self, place: &Published) -> Result<Option<EgressScope>, SinkError> {
        let (sink, place) = (self.clone(), place.clone());
        self.blocking(move || sink.read(&place)).await
    }

    async fn withdraw(&self, namespace: &str, name: &str) -> Result<bool, SinkError> {
        let (sink, namespace, name) = (self.clone(), namespace.to_owned(), name.to_owned());
        self.blocking(move || sink.remove(&namespace, &name)).await
    }

    async fn vanished(&self, places: Vec<Published>) -> Vec<Published> {
        let sink = self.clone();
        let is_empty = move |place: &Published| {
            let path = sink.path(&place.namespace, &place.name);
            path.is_ok_and(|path| !path.exists())
        };
        let look = spawn_blocking(move || places.into_iter().filter(is_empty).collect());
        look.await.unwrap_or_default()
    }

    async fn list(&self) -> Result<Vec<Published>, SinkError> {
        let sink = self.clone();
        self.blocking(move || sink.find()).await
    }
}

impl DirectorySink {
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, SinkError> + Send + 'static,
    ) -> Result<T, SinkError> {
        match spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => Err(SinkError::io(&self.root)(io::Error::other(error))),
        }
    }
}

enum Existing {
    Ours(String),
    NotOurs,
}

fn existing(path: &Path) -> Result<Option<Existing>, SinkError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Ok(Some(Existing::NotOurs)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SinkError::io(path)(error)),
    }
    match scan::read(path) {
        Ok(text) if is_ours(&text) => Ok(Some(Existing::Ours(text))),
        Ok(_) => Ok(Some(Existing::NotOurs)),
        Err(error) => match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::FileTooLarge => Ok(Some(Existing::NotOurs)),
            io::ErrorKind::NotFound => Ok(None),
            _ => Err(SinkError::io(path)(error)),
        },
    }
}

/// A file with anything else in it is somebody else's.
fn is_ours(text: &str) -> bool {
    let is_ours = |value: &Value| value["metadata"]["labels"][MANAGED_BY.0] == MANAGED_BY.1;
    let documents = yaml::documents(text);
    let is_ours = |document: &Document| is_ours(&document.value);
    !documents.is_empty()
        && documents
            .iter()
            .all(|found| found.as_ref().is_ok_and(is_ours))
}

/// Held while this process publishes there.
fn lock(root: &Path) -> Result<File, SinkError> {
    let dir = File::open(root).map_err(SinkError::io(root))?;
    match dir.try_lock() {
        Ok(()) => Ok(dir),
        Err(TryLockError::WouldBlock) => Err(SinkError::Locked {
            dir: root.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(SinkError::io(root)(source)),
    }
}

fn render(manifest: &Value, path: &Path) -> Result<String, SinkError> {
    let yaml = serde_saphyr::to_string(manifest).map_err(|error| SinkError::Render {
        place: path.display().to_string(),
        reason: error.to_string(),
    })?;
    Ok(format!("{HEADER}{yaml}"))
}

fn replace(dir: &Path, path: &Path, text: &str, outcome: PublishOutcome) -> Result<(), SinkError> {
    let write = || {
        let mut file = tempfile::Builder::new()
            .prefix(TEMPORARY_PREFIX)
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(dir)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        if outcome == PublishOutcome::Created {
            // Somebody may have put a file there since we looked.
            file.persist_noclobber(path)?;
        } else {
            file.persist(path)?;
        }
        fsync::sync_dir(dir)
    };
    write().map_err(SinkError::io(path))
}

fn entries(dir: &Path) -> Result<Vec<(String, PathBuf)>, SinkError> {
    let list = || {
        fs::read_dir(dir)?
            .map(|entry| entry.map(|entry| (entry.file_name(), entry.path())))
            .collect::<io::Result<Vec<_>>>()
    };
    let entries = list().map_err(SinkError::io(dir))?;
    let named =
        |(name, path): (std::ffi::OsString, PathBuf)| Some((name.into_string().ok()?, path));
    Ok(entries.into_iter().filter_map(named).collect())
}

fn not_ours(path: &Path) -> SinkError {
    SinkError::NotOurs {
        place: path.display().to_string(),
    }
}

#[cfg(test)]
mod tests;
