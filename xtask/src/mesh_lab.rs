//! `cargo xtask lab`: the mesh tests' lab for people, and the benchmarks that take it. The lab itself is a program of the
//! e2e crate.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::lab::{Lab, Profile};
use crate::packages::{self, Needed};
use crate::{command, go_tools, tools};

/// What the lab needs of the system.
pub(crate) const PACKAGES: [Needed; 2] = [("ip", "iproute2"), ("nft", "nftables")];

/// Runs the lab's program with `arguments`.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    packages::require(&PACKAGES)?;
    let envoy = tools::ENVOY.fetch()?;
    let lab_tools = go_tools::prepare(root)?;
    build_app(root, Profile::Dev)?;
    let mut cargo = lab_cargo(root, "run", "lazymesh-lab");
    cargo
        .arg("--")
        .args(arguments)
        .env("LAZYMESH_ENVOY", envoy)
        .env("LAZYMESH_LAB_TOOLS", lab_tools);
    command::become_process(cargo)
}

/// Runs a benchmark on a lab of its own, with lazymesh as it is shipped.
pub(crate) fn bench(root: &Path, arguments: &[&str]) -> Result<()> {
    packages::require(&PACKAGES)?;
    let lab = Lab::prepare(root, Profile::Release, &["--features", "kubernetes"])?;
    let lab_tools = go_tools::prepare(root)?;
    build_app(root, Profile::Release)?;
    let mut cargo = lab_cargo(root, "run", "lazymesh-bench");
    cargo
        .args(Profile::Release.arguments())
        .arg("--")
        .args(arguments)
        .env("LAZYMESH_LAB_TOOLS", lab_tools);
    lab.tell(&mut cargo);
    command::become_process(cargo)
}

/// The lab's pods run the application, which `cargo run` alone would not build.
fn build_app(root: &Path, profile: Profile) -> Result<()> {
    command::run(lab_cargo(root, "build", "lazymesh-app").args(profile.arguments()))
}

fn lab_cargo(root: &Path, command: &str, binary: &str) -> Command {
    let package = ["--quiet", "--package", "lazymesh-e2e", "--features", "lab"];
    let mut cargo = command::cargo(root, &[command]);
    cargo.args(package).args(["--bin", binary]);
    cargo
}
