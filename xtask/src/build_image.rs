//! `cargo xtask build-image`: the collector's container image, as an OCI image layout, without a container engine.
//!
//! The image is one static binary, so it needs nothing of a base image. It depends on the sources and on the
//! compilers (Rust's, and C's for `ring`) only: no time, and no path of this machine, is in it.

mod layer;
mod layout;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lazymesh_documents::Kind;

use crate::command::{self, cargo};
use crate::compiler::{self, cargo_home};
use crate::documents::Built;
use crate::git::Checkout;
use crate::lab::{Profile, binary};
use crate::packages;
use layout::{Layout, labels};

/// Not musl's: with its allocator the collector learns at less than half the speed.
const TARGET: &str = "x86_64-unknown-linux-gnu";

const PACKAGE: &str = "lazymesh-cli";
/// Version of the workspace, and the image's tag.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Builds the binary with `profile`, packs it with its documents, and returns the folder of the layout, in `target`.
/// Its only tag is the version.
///
/// # Errors
/// When there is no compiler for a static binary, or the build fails.
pub(crate) fn run(root: &Path, profile: Profile) -> Result<PathBuf> {
    let binary = build(root, profile, &cargo_home()?)?;
    let program = fs::read(&binary).with_context(|| binary.display().to_string())?;
    let folder = root.join("target").join(match profile {
        Profile::Release => "image",
        Profile::Dev => "image-dev",
    });
    pack(root, profile, &program, &folder)?;
    Ok(folder)
}

/// Puts the program into a layout at `folder`.
fn pack(root: &Path, profile: Profile, program: &[u8], folder: &Path) -> Result<()> {
    let layer = layer::pack(program)?;
    let checkout = Checkout::of(root);
    let mut layout = Layout::new(&root.join("target"))?;
    let image = layout.image(VERSION, &layer, &labels(VERSION, checkout.as_ref()))?;
    let built = Built {
        task: "build-image",
        package: PACKAGE,
        target: TARGET,
        profile: profile.name(),
        compiler: "rustc",
        standard_library: "as distributed",
    };
    let bill = built.bill(root, &image.sha256)?;
    layout.document(&image, Kind::CycloneDx, &bill)?;
    match checkout {
        Some(checkout) => {
            let statement = built.provenance(&checkout, "lazymesh", &image.sha256)?;
            layout.document(&image, Kind::Provenance, &statement)?;
        }
        None => println!("build-image: no provenance, for this is not a git checkout"),
    }
    layout.finish(folder)?;
    println!(
        "build-image: oci-layout:{}:{VERSION} ({:.1} MB; the binary in it {:.1} MB)",
        folder.display(),
        layer.gzip.len() as f64 / 1e6,
        program.len() as f64 / 1e6,
    );
    println!("build-image: sha256:{}", image.sha256);
    Ok(())
}

fn build(root: &Path, profile: Profile, cargo_home: &Path) -> Result<PathBuf> {
    packages::require(&[("cc", "gcc")])?;
    let mut build = cargo(root, &["build", "--package", PACKAGE, "--locked"]);
    build.args(["--target", TARGET]);
    build.args(profile.arguments());
    // The names of functions stay: a backtrace is of use without lines, too.
    for setting in ["debug=false", "strip=\"debuginfo\""] {
        build.arg("--config");
        build.arg(format!("profile.{}.{setting}", profile.name()));
    }
    let mut flags = compiler::remapped_paths(root, "rustc".as_ref(), cargo_home, None)?;
    flags.push("-Ctarget-feature=+crt-static".to_owned());
    compiler::set_flags(&mut build, &flags);
    command::run(&mut build)?;
    Ok(binary(root, Some(TARGET), profile, "lazymesh"))
}
