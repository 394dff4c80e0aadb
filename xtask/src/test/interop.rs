//! Programs that the tests of `oci` talk to: Debian's registry and skopeo, oras from PyPI, Istio's fetcher from Go.
//!
//! They are the real thing that users have, so they are taken as those get them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::command::run;
use crate::packages::{self, Needed};

const PACKAGES: [Needed; 2] = [("docker-registry", "docker-registry"), ("skopeo", "skopeo")];
const ORAS: &str = "oras==0.2.43";

/// Where the programs are that are not on PATH.
pub(super) struct Interop {
    oras: PathBuf,
    wasm_fetch: PathBuf,
}

impl Interop {
    /// Tells `command` where they are.
    pub(super) fn tell(&self, command: &mut Command) {
        command
            .env("LAZYMESH_ORAS", &self.oras)
            .env("LAZYMESH_WASM_FETCH", &self.wasm_fetch);
    }
}

/// Installs and builds what is missing.
pub(super) fn prepare(root: &Path, cache: &Path) -> Result<Interop> {
    packages::require(&PACKAGES)?;
    Ok(Interop {
        oras: oras(cache).with_context(|| format!("pip cannot install {ORAS}"))?,
        wasm_fetch: wasm_fetch(&root.join("oci/tests/istio"), cache)
            .context("cannot build oci/tests/istio, for which Go 1.26 or newer must be there")?,
    })
}

fn oras(cache: &Path) -> Result<PathBuf> {
    let folder = cache.join(format!("{ORAS}-{}", python_tag()?));
    if folder.exists() {
        return Ok(folder);
    }
    fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let staging = tempfile::tempdir_in(cache).context("cannot write to the cache folder")?;
    let unpacked = staging.path().join("unpacked");
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--root-user-action=ignore",
    ]);
    run(pip.arg("--target").arg(&unpacked).arg(ORAS))?;
    // A rename, so that a task that is stopped, or runs beside this one, never sees half of it.
    fs::rename(&unpacked, &folder).with_context(|| format!("cannot write {}", folder.display()))?;
    Ok(folder)
}

/// Istio's fetcher, built once for its sources.
fn wasm_fetch(sources: &Path, cache: &Path) -> Result<PathBuf> {
    let mut hash = Sha256::new();
    for file in ["go.mod", "go.sum", "main.go"] {
        hash.update(fs::read(sources.join(file))?);
    }
    let program = cache.join(format!(
        "wasm-fetch-{:.12}",
        format!("{:x}", hash.finalize())
    ));
    if program.exists() {
        return Ok(program);
    }
    let staging = tempfile::tempdir_in(cache).context("cannot write to the cache folder")?;
    let built = staging.path().join("wasm-fetch");
    let mut go = Command::new("go");
    go.current_dir(sources).env("GOFLAGS", "");
    go.args([
        "build",
        "-mod=readonly",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags=-s -w",
        "-o",
    ]);
    run(go.arg(&built).arg("."))?;
    fs::rename(&built, &program).with_context(|| format!("cannot write {}", program.display()))?;
    Ok(program)
}

/// Such as `cpython-311`: compiled packages are for one version.
fn python_tag() -> Result<String> {
    let mut python = Command::new("python3");
    python.args(["-c", "import sys; print(sys.implementation.cache_tag)"]);
    let output = python.output().context("cannot start python3")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
