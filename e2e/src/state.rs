//! The directory of one mesh: configuration, stores and logs.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Result;
use tempfile::TempDir;

/// Set to `1` to keep every mesh's directory.
const KEEP: &str = "LAZYMESH_KEEP";

/// A mesh's directory. It goes with the mesh unless somebody wants to look at it.
#[derive(Debug)]
pub(crate) struct State {
    root: PathBuf,
    directory: Option<TempDir>,
    keep: AtomicBool,
}

impl State {
    pub(crate) fn new() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("lazymesh-").tempdir()?;
        let state = Self {
            root: directory.path().to_owned(),
            directory: Some(directory),
            keep: AtomicBool::new(true),
        };
        for folder in [
            "manifests",
            "sidecars",
            "store",
            "envoy/ecds",
            "envoy/rds",
            "envoy/sds",
        ] {
            fs::create_dir_all(state.root.join(folder))?;
        }
        Ok(state)
    }

    /// The directory stays; so it is until [`State::tidy`].
    pub(crate) fn keep(&self) {
        self.keep.store(true, Ordering::Relaxed);
    }

    /// The directory goes with this value, unless the environment says otherwise.
    pub(crate) fn tidy(&self) {
        let keep = env::var(KEEP).is_ok_and(|value| value == "1");
        self.keep.store(keep, Ordering::Relaxed);
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn manifests(&self) -> PathBuf {
        self.root.join("manifests")
    }

    pub(crate) fn sidecars(&self) -> PathBuf {
        self.root.join("sidecars")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    pub(crate) fn envoy(&self) -> PathBuf {
        self.root.join("envoy")
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if self.keep.load(Ordering::Relaxed)
            && let Some(directory) = self.directory.take()
        {
            let _ = directory.keep();
        }
    }
}
