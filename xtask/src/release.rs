//! `cargo xtask release --dry-run`: all that a release does, but to a registry that nobody sees.
//!
//! The steps are those of a user with the `lazymesh` binary, so what works here works with another registry and key:
//! `lazymesh push REF --sign-key …`, or `lazymesh copy` of what a dry run leaves.

mod chart;
mod contents;
mod filter;
mod image;
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
use crate::{build_filter, build_image, go_tools, reproducible};
use registry::LocalRegistry;

const PACKAGES: [Needed; 2] = [
    ("docker-registry", "docker-registry"),
    ("openssl", "openssl"),
];
/// Folder in `target` that is left with what would be published, as image layouts.
const CANDIDATE: &str = "release-candidate";

/// What is released, and the programs that do it.
pub(crate) struct Parts<'a> {
    /// The Wasm module, with its documents beside it.
    pub(crate) module: &'a Path,
    /// The collector's image, in an image layout.
    pub(crate) image: &'a Path,
    /// The `lazymesh` binary.
    pub(crate) lazymesh: &'a Path,
    pub(crate) helm: &'a Path,
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
    let image = build_image::run(root, Profile::Release)?;
    command::run(&mut cargo(root, &["build", "--package", "lazymesh-cli"]))?;
    let parts = Parts {
        module: &module,
        image: &image,
        lazymesh: &binary(root, None, Profile::Dev, "lazymesh"),
        helm: &go_tools::prepare(root)?.join("bin/helm"),
    };
    rehearse(root, &parts)
}

/// The release of what is built already, to a registry of its own.
///
/// # Errors
/// When anything is not as it must be for a release.
pub(crate) fn rehearse(root: &Path, parts: &Parts<'_>) -> Result<()> {
    packages::require(&PACKAGES)?;
    let version = versions::check_workspace(root)?.to_string();
    // A checkout that is changed can be tried, but not released.
    if Checkout::of(root).is_none_or(|checkout| checkout.modified) {
        println!("release: not releasable, for there are changes that are in no commit");
    }
    reproducible::check(root, parts.module)?;
    let scratch = tempfile::tempdir().context("no temporary folder")?;
    let registry = LocalRegistry::start(scratch.path())?;
    let release = Release {
        version: &version,
        registry: &registry.address,
        candidate: &root.join("target").join(CANDIDATE),
        key: key::make(scratch.path())?,
        lazymesh: parts.lazymesh,
        scratch: scratch.path(),
    };
    release.clear()?;
    filter::publish(&release, parts.module)?;
    image::publish(&release, parts.image)?;
    chart::publish(&release, root, parts.helm)?;
    release.list()
}

/// What the parts of a release have in common.
struct Release<'a> {
    version: &'a str,
    /// Host and port.
    registry: &'a str,
    /// The folder that is left.
    candidate: &'a Path,
    key: key::Pair,
    lazymesh: &'a Path,
    /// For anything, gone at the end.
    scratch: &'a Path,
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
    /// Where an artifact is published.
    fn reference(&self, name: &str) -> String {
        format!("{}/lazymesh/{name}:{}", self.registry, self.version)
    }

    /// A command of `lazymesh` about an artifact in the registry.
    fn lazymesh(&self, command: &str, name: &str) -> Command {
        let mut lazymesh = Command::new(self.lazymesh);
        // Whatever the environment of the build has: the digest must not depend on it.
        lazymesh.env_remove("SOURCE_DATE_EPOCH");
        lazymesh.args([command, "--insecure", &self.reference(name)]);
        lazymesh
    }

    /// Verifies digest, signature and documents; `more` are arguments.
    fn verify(&self, name: &str, digest: &str, more: &[&str]) -> Result<()> {
        let mut verify = self.lazymesh("verify", name);
        verify.args(["--digest", digest, "--sbom", "--provenance", "-o", "json"]);
        verify.args(more).arg("--key").arg(&self.key.public);
        let verified: Verified = answer(&mut verify)?;
        let mut documents = verified.sboms.iter().chain(&verified.provenance);
        ensure!(
            verified.signed && documents.all(|document| document.signed),
            "verified, but not signed"
        );
        println!(
            "release: verified digest, signature, bill of materials and provenance of the {name}"
        );
        Ok(())
    }

    /// Leaves what was published in the candidate's folder, each artifact a layout of its own.
    fn keep(&self, name: &str) -> Result<()> {
        let target = self.candidate.join(name);
        let target = format!("oci-layout:{}:{}", target.display(), self.version);
        output(self.lazymesh("copy", name).arg(target)).map(drop)
    }

    fn clear(&self) -> Result<()> {
        if self.candidate.exists() {
            fs::remove_dir_all(self.candidate)?;
        }
        Ok(())
    }

    fn list(&self) -> Result<()> {
        let from = self.candidate.display();
        println!("\nwhat would be published (from {from}):");
        for name in [filter::NAME, image::NAME, chart::NAME] {
            print!("\n{name}\n{}", contents::list(&self.candidate.join(name))?);
        }
        Ok(())
    }
}

fn answer<T: serde::de::DeserializeOwned>(command: &mut Command) -> Result<T> {
    serde_json::from_slice(&output(command)?).context("lazymesh answered something else")
}
