//! Programs and tests in Go, built once for their sources into the cache folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::command::run;

/// Something that Go builds.
pub(super) struct GoProgram {
    pub(super) name: &'static str,
    /// Folder with its go.mod, in the workspace.
    pub(super) folder: &'static str,
    /// `go` command, and what of the folder or of a module it builds.
    pub(super) build: &'static [&'static str],
}

impl GoProgram {
    /// Path of the program, which is built if it is not there yet.
    pub(super) fn prepare(&self, root: &Path, cache: &Path) -> Result<PathBuf> {
        let sources = root.join(self.folder);
        let program = cache.join(format!("{}-{:.12}", self.name, fingerprint(&sources)?));
        if program.exists() {
            return Ok(program);
        }
        self.make(&sources, cache, &program).with_context(|| {
            format!(
                "cannot build {}, for which Go 1.26 or newer must be there",
                self.folder
            )
        })?;
        Ok(program)
    }

    fn make(&self, sources: &Path, cache: &Path, program: &Path) -> Result<()> {
        eprintln!("building {} (once; up to some minutes)", self.folder);
        let start = Instant::now();
        fs::create_dir_all(cache)?;
        let staging = tempfile::tempdir_in(cache).context("cannot write to the cache folder")?;
        let built = staging.path().join(self.name);
        let (verb, what) = self.build.split_at(self.build.len() - 1);
        let mut go = Command::new("go");
        go.current_dir(sources).env("GOFLAGS", "").args(verb);
        go.args([
            "-mod=readonly",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags=-s -w",
            "-o",
        ]);
        run(go.arg(&built).args(what))?;
        // A rename, so that a task that is stopped, or runs beside this one, never sees half of it.
        fs::rename(&built, program)?;
        eprintln!("built {} in {:.0?}", self.folder, start.elapsed());
        Ok(())
    }
}

/// Hash of all files of a folder.
fn fingerprint(folder: &Path) -> Result<String> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<_> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.file_name().unwrap_or_default().as_encoded_bytes());
        hash.update(fs::read(&file)?);
    }
    Ok(format!("{:x}", hash.finalize()))
}
