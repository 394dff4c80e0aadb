//! `cargo xtask lab`: the mesh tests' lab for people. The lab itself is a program of the e2e crate.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::packages::{self, Needed};
use crate::{command, go_tools, tools};

/// What the lab needs of the system.
pub(crate) const PACKAGES: [Needed; 2] = [("ip", "iproute2"), ("nft", "nftables")];

/// Runs the lab's program with `arguments`.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    packages::require(&PACKAGES)?;
    let envoy = tools::ENVOY.fetch()?;
    let lab_tools = go_tools::prepare(root)?;
    // The lab's pods run the application, which `cargo run` alone would not build.
    command::run(&mut lab_cargo(root, "build", "lazymesh-app"))?;
    let mut cargo = lab_cargo(root, "run", "lazymesh-lab");
    cargo
        .arg("--")
        .args(arguments)
        .env("LAZYMESH_ENVOY", envoy)
        .env("LAZYMESH_LAB_TOOLS", lab_tools);
    command::become_process(cargo)
}

fn lab_cargo(root: &Path, command: &str, binary: &str) -> Command {
    let package = ["--quiet", "--package", "lazymesh-e2e", "--features", "lab"];
    let mut cargo = command::cargo(root, &[command]);
    cargo.args(package).args(["--bin", binary]);
    cargo
}
