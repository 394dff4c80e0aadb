//! `cargo xtask test`: what CI runs, quickest and most telling first; the first failure ends it.
//!
//! Headlines and times go to stderr; the output ends with the number of all tests that passed.

mod count;
mod folder;
mod go;
mod interop;
mod parts;
mod steps;
mod tier;

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::command::{cargo, run as run_command};
use crate::tools;
use parts::Parts;
use steps::{Steps, headline};
pub(crate) use tier::Selection;

/// Everything, or the tests of `selection` only.
pub(crate) fn run(root: &Path, selection: &Selection) -> Result<()> {
    let mut steps = Steps::default();
    if selection.is_everything() {
        check(root, &mut steps)?;
    }
    let parts = Parts::prepare(root, selection, &mut steps)?;
    if selection.is_everything() {
        steps.step("release", || parts.rehearse_release(root))?;
    }
    steps.print_times();
    headline("test");
    let mut tests: Vec<Command> = parts.go_tests(selection.name()).into_iter().collect();
    tests.extend(selection.cargo_tests(root)?);
    tests.iter_mut().for_each(|tests| parts.tell(tests));
    tests.extend(parts.tests_of_older_envoy(root));
    count::run(&mut tests)
}

/// What is looked at without being run.
fn check(root: &Path, steps: &mut Steps) -> Result<()> {
    let run = |mut command: Command| move || run_command(&mut command);
    steps.step("format", run(cargo(root, &["fmt", "--check"])))?;
    steps.step("clippy", run(clippy(root)))?;
    // What one crate's features turn on must not be what another needs.
    let lean = cargo(root, &["check", "--package", "lazymesh-cli"]);
    steps.step("lean", run(lean))?;
    steps.step("deny", || deny(root))?;
    steps.step("doc", run(doc(root)))
}

fn clippy(root: &Path) -> Command {
    cargo(
        root,
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--",
            "-Dwarnings",
        ],
    )
}

fn deny(root: &Path) -> Result<()> {
    let mut deny = Command::new(tools::CARGO_DENY.fetch()?);
    deny.current_dir(root);
    // No advisories: a new one must not turn a commit that passed yesterday red, nor need the network.
    run_command(deny.args([
        "--log-level",
        "error",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))
}

fn doc(root: &Path) -> Command {
    let mut doc = cargo(root, &["doc", "--no-deps", "--workspace", "--all-features"]);
    doc.env("RUSTDOCFLAGS", "-Dwarnings");
    doc
}
