//! `cargo xtask release --dry-run`: all that a release does, but to a registry that nobody sees.
//!
//! The steps are those of a user with the `lazymesh` binary, so what works here works with another registry and key:
//! `lazymesh push REF --sign-key …`, or `lazymesh copy` of the folder that a dry run leaves.

mod contents;
mod key;
mod registry;
mod versions;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::command::{self, cargo, output};
use crate::git::Checkout;
use crate::lab::{Profile, binary};
use crate::packages::{self, Needed};
use crate::{build_filter, reproducible};
use registry::LocalRegistry;

const PACKAGES: [Needed; 2] = [
    ("docker-registry", "docker-registry"),
    ("openssl", "openssl"),
];
/// Folder in `target` that is left with what would be published, as an image layout.
const CANDIDATE: &str = "release-candidate";

/// What is released, and the program that does it.
pub(crate) struct Parts<'a> {
    /// The Wasm module, with its documents beside it.
    pub(crate) module: &'a Path,
    /// The `lazymesh` binary.
    pub(crate) lazymesh: &'a Path,
}

/// The task.
///
/// # Errors
/// When anything is not as it must be for a release, or without `dry_run`.
pub(crate) fn run(root: &Path, dry_run: bool) -> Result<()> {
    if !dry_run {
        bail!(
            "lazymesh has no registry to publish to and no release key yet, so there is nothing but `--dry-run`; \
             to publish a build of your own: `lazymesh push REF --file … --sign-key …`"
        );
    }
    let module = build_filter::run(root)?;
    command::run(&mut cargo(root, &["build", "--package", "lazymesh-cli"]))?;
    let parts = Parts {
        module: &module,
        lazymesh: &binary(root, Profile::Dev, "lazymesh"),
    };
    rehearse(root, &parts)
}

/// The release of what is built already, to a registry of its own.
///
/// # Errors
/// When anything is not as it must be for a release.
pub(crate) fn rehearse(root: &Path, parts: &Parts<'_>) -> Result<()> {
    packages::require(&PACKAGES)?;
    let version = versions::check_workspace(root)?;
    // A checkout that is changed can be tried, but not released.
    if Checkout::of(root).is_none_or(|checkout| checkout.modified) {
        println!("release: not releasable, for there are changes that are in no commit");
    }
    reproducible::check(root, parts.module)?;
    let scratch = tempfile::tempdir().context("no temporary folder")?;
    let registry = LocalRegistry::start(scratch.path())?;
    let release = Release {
        reference: format!("{}/lazymesh/filter:{version}", registry.address),
        version: version.to_string(),
        key: key::make(scratch.path())?,
        lazymesh: parts.lazymesh,
        scratch: scratch.path(),
    };
    release.publish(parts.module, &root.join("target").join(CANDIDATE))
}

struct Release<'a> {
    reference: String,
    version: String,
    key: key::Pair,
    lazymesh: &'a Path,
    scratch: &'a Path,
}

/// What `lazymesh push -o json` answers.
#[derive(Deserialize)]
struct Pushed {
    digest: String,
    uploads: usize,
}

/// What `lazymesh verify -o json` answers.
#[derive(Deserialize)]
struct Verified {
    signed: bool,
    sboms: Vec<Evidence>,
    provenance: Vec<Evidence>,
}

#[derive(Deserialize)]
struct Evidence {
    signed: bool,
}

impl Release<'_> {
    fn publish(&self, module: &Path, candidate: &Path) -> Result<()> {
        let pushed = self.push(module)?;
        let again = self.push(module)?;
        ensure!(
            (again.uploads, &again.digest) == (0, &pushed.digest),
            "pushing the same again sent something"
        );
        println!("release: pushed {} as {}", self.reference, pushed.digest);
        self.verify(&pushed.digest)?;
        self.pull_back(module)?;
        self.keep(candidate)
    }

    fn push(&self, module: &Path) -> Result<Pushed> {
        let mut push = self.lazymesh("push");
        push.arg("--file").arg(module);
        push.arg("--sign-key").arg(&self.key.private);
        answer(push.args(["-o", "json"]))
    }

    fn verify(&self, digest: &str) -> Result<()> {
        let mut verify = self.lazymesh("verify");
        verify.args(["--digest", digest, "--sbom", "--provenance", "-o", "json"]);
        let verified: Verified = answer(verify.arg("--key").arg(&self.key.public))?;
        let mut documents = verified.sboms.iter().chain(&verified.provenance);
        ensure!(
            verified.signed && documents.all(|document| document.signed),
            "verified, but not signed"
        );
        println!("release: verified digest, signature, bill of materials and provenance");
        Ok(())
    }

    fn pull_back(&self, module: &Path) -> Result<()> {
        let pulled = self.scratch.join("pulled.wasm");
        output(self.lazymesh("pull").arg("--file").arg(&pulled))?;
        ensure!(
            fs::read(pulled)? == fs::read(module)?,
            "another module came back than was pushed"
        );
        println!("release: pulled, and it is the module that was built");
        Ok(())
    }

    /// Leaves what was pushed in a folder, and lists it.
    fn keep(&self, candidate: &Path) -> Result<()> {
        if candidate.exists() {
            fs::remove_dir_all(candidate)?;
        }
        let target = format!("oci-layout:{}:{}", candidate.display(), self.version);
        output(self.lazymesh("copy").arg(target))?;
        println!(
            "\nwhat would be published (from {}):\n",
            candidate.display()
        );
        print!("{}", contents::list(candidate)?);
        Ok(())
    }

    fn lazymesh(&self, command: &str) -> Command {
        let mut lazymesh = Command::new(self.lazymesh);
        // Whatever the environment of the build has: the digest must not depend on it.
        lazymesh.env_remove("SOURCE_DATE_EPOCH");
        lazymesh.args([command, "--insecure", &self.reference]);
        lazymesh
    }
}

fn answer<T: serde::de::DeserializeOwned>(command: &mut Command) -> Result<T> {
    serde_json::from_slice(&output(command)?).context("lazymesh answered something else")
}
