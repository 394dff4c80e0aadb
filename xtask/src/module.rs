//! `cargo xtask fuzz module` and `cargo xtask fuzz hosts`: the filter as it is compiled, run by a program of its own.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::lab::{Profile, binary};
use crate::{build_filter, command};

const PROGRAM: &str = "lazymesh-module";

/// Has the program do `task` with `arguments`. Its exit status is ours.
pub(crate) fn run(root: &Path, task: &str, arguments: &[String]) -> Result<()> {
    let filter = build_filter::run(root)?;
    command::run(&mut command::cargo(root, &["build", "--package", PROGRAM]))?;
    let mut program = Command::new(binary(root, None, Profile::Dev, PROGRAM));
    program
        .arg(task)
        .args(arguments)
        .env("LAZYMESH_FILTER", filter);
    command::become_process(program)
}
