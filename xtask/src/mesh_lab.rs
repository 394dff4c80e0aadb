//! `cargo xtask lab`: the mesh tests' lab for people, and the benchmarks that take it. The lab itself is a program of the
//! e2e crate.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::lab::{Lab, Profile, binary};
use crate::packages::{self, Needed};
use crate::{command, go_tools, tools};

/// What the lab needs of the system.
pub(crate) const PACKAGES: [Needed; 2] = [("ip", "iproute2"), ("nft", "nftables")];

/// Runs the lab's program with `arguments`.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    packages::require(&PACKAGES)?;
    let envoy = tools::ENVOY.fetch()?;
    let mut lab = program(root, Profile::Dev, "lazymesh-lab")?;
    lab.args(arguments).env("LAZYMESH_ENVOY", envoy);
    command::become_process(lab)
}

/// Runs a benchmark on a lab of its own, with lazymesh as it is shipped.
pub(crate) fn bench(root: &Path, arguments: &[&str]) -> Result<()> {
    packages::require(&PACKAGES)?;
    let lab = Lab::prepare(root, Profile::Release)?;
    let mut bench = program(root, Profile::Release, "lazymesh-bench")?;
    lab.tell(bench.args(arguments));
    command::become_process(bench)
}

/// Builds a program that uses the lab, and the application that its pods run.
fn program(root: &Path, profile: Profile, name: &str) -> Result<Command> {
    let package = ["build", "--package", "lazymesh-e2e", "--features", "lab"];
    let mut cargo = command::cargo(root, &package);
    cargo.args(["--bin", "lazymesh-app", "--bin", name]);
    command::run(cargo.args(profile.arguments()))?;
    let mut program = Command::new(binary(root, None, profile, name));
    program.env("LAZYMESH_LAB_TOOLS", go_tools::prepare(root)?);
    Ok(program)
}
