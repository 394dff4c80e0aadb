//! Programs that come from the system's packages. Installed where that is plainly possible, and otherwise an error that
//! says what to install.

use std::env;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;

/// A program on PATH, and the Debian package that has it.
pub(crate) type Needed = (&'static str, &'static str);

/// Sees to it that all of these are there.
///
/// # Errors
/// When some are missing and cannot be installed: names the packages.
pub(crate) fn require(needed: &[Needed]) -> Result<()> {
    let missing = needed.iter().filter(|(program, _)| !is_on_path(program));
    let missing: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if !is_root()? || !is_on_path("apt-get") {
        bail!("{packages}: not installed (Debian: `apt install {packages}`)");
    }
    eprintln!("installing {packages}");
    let install = [
        &["install", "--yes", "--no-install-recommends"],
        missing.as_slice(),
    ]
    .concat();
    // A machine that was never updated has no lists to install from.
    apt(&install)
        .or_else(|_| apt(&["update"]).and_then(|()| apt(&install)))
        .with_context(|| format!("install by hand: {packages}"))
}

fn apt(arguments: &[&str]) -> Result<()> {
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    command::run(apt.arg("--quiet=2").args(arguments))
}

fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    // Where system tools are, whoever calls.
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders
        .into_iter()
        .any(|folder| folder.join(program).is_file())
}

fn is_root() -> Result<bool> {
    let output = Command::new("id")
        .arg("-u")
        .output()
        .context("cannot start id")?;
    Ok(output.stdout.trim_ascii() == b"0")
}
