use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the store could not do what was asked. Clones are cheap: one failed write answers many callers.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or directory of the store could not be used.
    #[error("store: {path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// Another process, or another store in this one, has the directory.
    #[error("store: {dir} is in use by another collector; one directory serves one collector")]
    Locked {
        /// The store's directory.
        dir: PathBuf,
    },
    /// A later lazymesh wrote the store.
    #[error(
        "store: {dir} has schema version {found}, this lazymesh knows versions up to {supported}; \
         use the lazymesh that wrote it, or a later one"
    )]
    Newer {
        /// The store's directory.
        dir: PathBuf,
        /// What the store says.
        found: u32,
        /// The highest version that this build reads.
        supported: u32,
    },
    /// What is there is not what was written.
    #[error(
        "store: {dir} is damaged: {reason}; restore it, or start once with --accept-damage, which keeps a copy and goes \
         on with what can be read"
    )]
    Damaged {
        /// The store's directory.
        dir: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The change can never be stored; nothing of its commit was.
    #[error("store: {key}: {reason}")]
    Unstorable {
        /// The record's key, escaped.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The write or its sync failed. The changes may or may not be on disk.
    #[error("store: write failed, changes are not durable: {reason}")]
    Write {
        /// What the engine or the system said.
        reason: String,
    },
    /// An earlier write failed, and what is on disk since then is unknown.
    #[error("store: refuses writes since an earlier one failed ({reason}); restart the collector")]
    Refused {
        /// Why the earlier write failed.
        reason: String,
    },
    /// The files that were written are not those that a start would find.
    #[error(
        "store: {path} is not the file any more that this collector writes; was the data directory removed or replaced? \
         Restart the collector"
    )]
    Replaced {
        /// The file.
        path: PathBuf,
    },
    /// The writer thread ended without having been asked to.
    #[error("store: the writer thread died; restart the collector")]
    WriterDied,
    /// [`super::Store::close`] was called before.
    #[error("store: closed")]
    Closed,
}

impl StoreError {
    pub(super) fn damaged(dir: &Path, reason: String) -> Self {
        Self::Damaged {
            dir: dir.to_owned(),
            reason,
        }
    }

    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }
}
