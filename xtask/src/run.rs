//! The tasks that show or measure lazymesh at work: programs of the e2e crate, given the real parts.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::command;
use crate::lab::{Lab, Profile, binary};
use crate::mesh_lab;

/// The demonstration. Its exit status is the task's.
pub(crate) fn demo(root: &Path, keep: bool) -> Result<()> {
    // The dev profile builds in half the time and nothing is measured here.
    let arguments: &[&str] = if keep { &["--keep"] } else { &[] };
    program(root, Profile::Dev, "lazymesh-demo", arguments)
}

/// Benchmarks that take the lab.
const ON_THE_LAB: [&str; 2] = ["churn", "mesh-scale"];

/// Benchmarks that start nothing, and in which nothing is timed.
const WITHOUT_PARTS: [&str; 1] = ["lazy-share"];

/// One benchmark by name, with arguments of its own.
pub(crate) fn bench(root: &Path, name: &str, json: bool, arguments: &[String]) -> Result<()> {
    let mut all = vec![name];
    all.extend(json.then_some("--json"));
    all.extend(arguments.iter().map(String::as_str));
    if ON_THE_LAB.contains(&name) {
        return mesh_lab::bench(root, &all);
    }
    if WITHOUT_PARTS.contains(&name) {
        let mut bench = build(root, Profile::Dev, "lazymesh-bench")?;
        bench.args(all);
        return command::become_process(bench);
    }
    program(root, Profile::Release, "lazymesh-bench", &all)
}

/// Builds before it becomes the program, so that cargo shows what takes a minute.
fn program(root: &Path, profile: Profile, name: &str, arguments: &[&str]) -> Result<()> {
    let lab = Lab::prepare(root, profile)?;
    let mut program = build(root, profile, name)?;
    lab.tell(program.args(arguments));
    command::become_process(program)
}

fn build(root: &Path, profile: Profile, name: &str) -> Result<Command> {
    let mut cargo = command::cargo(root, &["build", "--package", "lazymesh-e2e", "--bin", name]);
    command::run(cargo.args(profile.arguments()))?;
    Ok(Command::new(binary(root, None, profile, name)))
}
