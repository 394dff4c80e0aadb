//! `cargo xtask lab`: the mesh tests' lab for people. The lab itself is a program of the e2e crate.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{command, go_tools, tools};

/// What the lab needs of the system: a program and the Debian package that has it.
const PACKAGES: [(&str, &str); 2] = [("ip", "iproute2"), ("nft", "nftables")];

/// Runs the lab's program with `arguments`.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    install_packages()?;
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

/// Installs what is missing where that is plainly possible, and otherwise says what to install.
pub(crate) fn install_packages() -> Result<()> {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(program, _)| Command::new(program).arg("-V").output().is_err())
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if !is_root()? || Command::new("apt-get").arg("--version").output().is_err() {
        bail!("the lab needs {packages}: install (Debian: `apt install {packages}`)");
    }
    eprintln!("installing {packages}");
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive")
            .arg("--quiet=2");
        apt
    };
    // An image's package lists are often removed, and a package server forgets old versions.
    command::run(apt().arg("update"))?;
    command::run(
        apt()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(missing),
    )
}

fn is_root() -> Result<bool> {
    let output = Command::new("id")
        .arg("-u")
        .output()
        .context("cannot start id")?;
    Ok(output.stdout.trim_ascii() == b"0")
}
