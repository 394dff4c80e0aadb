//! Programs that the tests of `oci` talk to: Debian's registry and skopeo, oras from PyPI, cosign and Istio's fetcher in Go.
//!
//! They are the real thing that users have, so they are taken as those get them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::go::GoProgram;
use crate::command::run;
use crate::packages::{self, Needed};

const PACKAGES: [Needed; 2] = [("docker-registry", "docker-registry"), ("skopeo", "skopeo")];
const ORAS: &str = "oras==0.2.43";
const COSIGN: GoProgram = GoProgram {
    name: "cosign",
    folder: "oci/tests/cosign",
    build: &["build", "github.com/sigstore/cosign/v3/cmd/cosign"],
};
const ISTIO: GoProgram = GoProgram {
    name: "istio-artifact-tests",
    folder: "oci/tests/istio",
    build: &["test", "-c", "."],
};

/// Where the programs are that are not on PATH.
pub(super) struct Interop {
    oras: PathBuf,
    cosign: PathBuf,
    istio: PathBuf,
}

impl Interop {
    /// Tells `command` where they are.
    pub(super) fn tell(&self, command: &mut Command) {
        command
            .env("LAZYMESH_ORAS", &self.oras)
            .env("LAZYMESH_COSIGN", &self.cosign);
    }

    /// The tests that are Go tests, whose names contain `name`.
    pub(super) fn go_tests(&self, name: Option<&str>) -> Command {
        let mut tests = Command::new(&self.istio);
        tests.arg("-test.v");
        if let Some(name) = name {
            tests.arg(format!(r"-test.run=(?i)\Q{name}\E"));
        }
        tests
    }
}

/// Installs and builds what is missing.
pub(super) fn prepare(root: &Path, cache: &Path) -> Result<Interop> {
    packages::require(&PACKAGES)?;
    Ok(Interop {
        oras: oras(cache).with_context(|| format!("pip cannot install {ORAS}"))?,
        cosign: COSIGN.prepare(root, cache)?,
        istio: ISTIO.prepare(root, cache)?,
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

/// Such as `cpython-311`: compiled packages are for one version.
fn python_tag() -> Result<String> {
    let mut python = Command::new("python3");
    python.args(["-c", "import sys; print(sys.implementation.cache_tag)"]);
    let output = python.output().context("cannot start python3")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
