//! `cargo xtask fuzz parsers`: coverage-guided fuzzing of what reads bytes from outside, as `cargo fuzz run --sanitizer none`
//! does it, with a compiler of the stable channel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Parser;

use crate::{command, packages};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What makes a program tell libFuzzer which ways it went, and what it compared.
const FLAGS: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Fuzzes what reads bytes from outside.
#[derive(Parser)]
#[command(name = "cargo xtask fuzz parsers")]
struct Arguments {
    /// For each harness
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Folders of fuzz/corpus; all of them if none is given
    harnesses: Vec<String>,
}

/// As the developer says.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let name = "parsers".to_owned();
    let Arguments { seconds, harnesses } =
        Arguments::parse_from([&name].into_iter().chain(arguments));
    let harnesses = match harnesses.is_empty() {
        true => all(root)?,
        false => harnesses,
    };
    packages::require(&[("c++", "g++")])?;
    let work = root.join("target/fuzz");
    let program = build(root, &work)?;
    for harness in harnesses {
        eprintln!("fuzz: {harness}");
        let (found, artifacts) = (work.join("corpus"), work.join("artifacts"));
        let (found, artifacts) = (found.join(&harness), artifacts.join(&harness));
        fs::create_dir_all(&found)?;
        fs::create_dir_all(&artifacts)?;
        let mut fuzz = Command::new(&program);
        fuzz.env("LAZYMESH_FUZZ", &harness)
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .args(["-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1"])
            // What is found goes into the first.
            .arg(found)
            .arg(root.join("fuzz/corpus").join(harness));
        command::run(&mut fuzz)?;
    }
    Ok(())
}

fn all(root: &Path) -> Result<Vec<String>> {
    let corpora = fs::read_dir(root.join("fuzz/corpus")).context("no fuzz/corpus")?;
    let names = corpora.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<Result<_>>()?;
    names.sort_unstable();
    Ok(names)
}

fn build(root: &Path, work: &Path) -> Result<PathBuf> {
    let manifest = [
        "build",
        "--locked",
        "--manifest-path",
        "fuzz/guided/Cargo.toml",
    ];
    let mut build = command::cargo(root, &manifest);
    // With a target, what only helps to build goes without the flags.
    build.args(["--target", TARGET]);
    build.arg("--target-dir").arg(work);
    command::run(build.env("RUSTFLAGS", FLAGS.join(" ")))?;
    Ok(work.join(TARGET).join("debug/guided"))
}
