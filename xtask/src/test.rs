//! `cargo xtask test`: what CI runs, quickest and most telling first; the first failure ends it.
//!
//! Headlines and times go to stderr; the output ends with the number of all tests that passed.

mod count;
mod go;
mod interop;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::command::{cargo, run as run_command};
use crate::lab::{Lab, Profile};
use crate::release::{self, Parts};
use crate::{build_image, go_tools, mesh_lab, packages, tools};

/// All checks, or with `filter` only the tests whose names contain it.
pub(crate) fn run(root: &Path, filter: Option<&str>) -> Result<()> {
    let mut steps = Steps::default();
    if filter.is_none() {
        steps.step("format", || {
            run_command(&mut cargo(root, &["fmt", "--check"]))
        })?;
        steps.step("clippy", || run_command(&mut clippy(root)))?;
        // What one crate's features turn on must not be what another needs.
        steps.step("lean", || {
            run_command(&mut cargo(root, &["check", "--package", "lazymesh-cli"]))
        })?;
        steps.step("deny", || deny(root))?;
        steps.step("doc", || run_command(&mut doc(root)))?;
    }
    let lab = steps.step("build", || {
        Lab::prepare(root, Profile::Dev, &["--all-features"])
    })?;
    let image = steps.step("image", || build_image::run(root, Profile::Dev))?;
    let interop = steps.step("interop", || {
        interop::prepare(root, &tools::cache_folder()?)
    })?;
    let mesh = steps.step("mesh lab", || {
        packages::require(&mesh_lab::PACKAGES)?;
        go_tools::prepare(root)
    })?;
    if filter.is_none() {
        let parts = Parts {
            module: &lab.filter,
            image: &image,
            lazymesh: &lab.lazymesh,
            helm: &mesh.join("bin/helm"),
        };
        steps.step("release", || release::rehearse(root, &parts))?;
    }
    steps.print_times();
    headline("test");
    let mut tests = tests(root, &lab, filter);
    tests
        .env("LAZYMESH_LAB_TOOLS", mesh)
        .env("LAZYMESH_IMAGE", image);
    interop.tell(&mut tests);
    let mut go_tests = interop.go_tests(filter);
    lab.tell(&mut go_tests);
    count::run(&mut [go_tests, tests])
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

fn tests(root: &Path, lab: &Lab, filter: Option<&str>) -> Command {
    let mut tests = cargo(root, &["test", "--workspace", "--all-features"]);
    tests.args(filter);
    lab.tell(&mut tests);
    tests
}

/// Steps that were run, with how long each took.
#[derive(Default)]
struct Steps(Vec<(&'static str, Duration)>);

impl Steps {
    fn step<T>(&mut self, name: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        headline(name);
        let start = Instant::now();
        let result = work().with_context(|| format!("step `{name}` failed"))?;
        self.0.push((name, start.elapsed()));
        Ok(result)
    }

    fn print_times(&self) {
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        let total = self.0.iter().map(|(_, time)| *time).sum();
        let steps: Vec<_> = self
            .0
            .iter()
            .map(|(name, time)| format!("{name} {}", seconds(*time)))
            .collect();
        eprintln!(
            "\n{} before the tests: {}",
            seconds(total),
            steps.join(", ")
        );
    }
}

fn headline(name: &str) {
    eprintln!("\n=== {name}");
}
