//! `cargo xtask equivalence` and `cargo xtask fuzz`: lazymesh held against istiod's own code, by a program of the e2e crate.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::lab::{Profile, binary};
use crate::{command, go_tools};

const PROGRAM: &str = "lazymesh-equivalence";

/// Has the program do `task` with `arguments`. Its exit status is ours.
pub(crate) fn run(root: &Path, task: &str, arguments: &[String]) -> Result<()> {
    let package = ["build", "--package", "lazymesh-e2e", "--features", "lab"];
    command::run(command::cargo(root, &package).args(["--bin", PROGRAM]))?;
    let mut program = Command::new(binary(root, None, Profile::Dev, PROGRAM));
    program
        .arg(task)
        .args(arguments)
        .env("LAZYMESH_LAB_TOOLS", go_tools::prepare(root)?);
    command::become_process(program)
}
