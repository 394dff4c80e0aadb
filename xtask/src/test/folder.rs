//! Folders of packages that a package manager fills, once for their list of packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::command::{output, run};

/// Packages from PyPI.
pub(super) struct Python {
    pub(super) name: &'static str,
    /// A requirements.txt, in the workspace.
    pub(super) requirements: &'static str,
}

/// Packages from npm.
pub(super) struct Node {
    pub(super) name: &'static str,
    /// Folder with package.json and package-lock.json, in the workspace.
    pub(super) folder: &'static str,
}

impl Python {
    /// The folder to name in PYTHONPATH.
    pub(super) fn prepare(&self, root: &Path, cache: &Path) -> Result<PathBuf> {
        let requirements = root.join(self.requirements);
        let hash = hash(&requirements)?;
        // Compiled packages are for one version of Python.
        let folder = cache.join(format!("{}-{hash:.12}-{}", self.name, python_tag()?));
        filled(&folder, cache, |staging| {
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "install", "--quiet"])
                .args(["--disable-pip-version-check", "--root-user-action=ignore"]);
            run(pip
                .arg("--target")
                .arg(staging)
                .arg("--requirement")
                .arg(&requirements))
        })
        .with_context(|| format!("pip cannot install {}", self.requirements))?;
        Ok(folder)
    }
}

impl Node {
    /// The folder that has `node_modules`.
    pub(super) fn prepare(&self, root: &Path, cache: &Path) -> Result<PathBuf> {
        let from = root.join(self.folder);
        let hash = hash(&from.join("package-lock.json"))?;
        let folder = cache.join(format!("{}-{hash:.12}", self.name));
        filled(&folder, cache, |staging| {
            fs::create_dir(staging)?;
            for file in ["package.json", "package-lock.json"] {
                fs::copy(from.join(file), staging.join(file))?;
            }
            let mut npm = Command::new("npm");
            npm.current_dir(staging)
                .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
            run(npm.arg("--loglevel=error"))
        })
        .with_context(|| format!("npm cannot install {}", self.folder))?;
        Ok(folder)
    }
}

/// Fills a folder, unless it is there.
fn filled(folder: &Path, cache: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if folder.exists() {
        return Ok(());
    }
    fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let staging = tempfile::tempdir_in(cache).context("cannot write to the cache folder")?;
    let unpacked = staging.path().join("unpacked");
    fill(&unpacked)?;
    // A rename, so that a task that is stopped, or runs beside this one, never sees half of it.
    fs::rename(&unpacked, folder).with_context(|| format!("cannot write {}", folder.display()))
}

fn hash(file: &Path) -> Result<String> {
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    Ok(format!("{:x}", Sha256::digest(bytes)))
}

/// Such as `cpython-311`.
fn python_tag() -> Result<String> {
    let mut python = Command::new("python3");
    python.args(["-c", "import sys; print(sys.implementation.cache_tag)"]);
    Ok(String::from_utf8_lossy(&output(&mut python)?)
        .trim()
        .to_owned())
}
