//! `cargo xtask`: everything a developer or CI does to lazymesh, in the same words on every machine.
//!
//! A task is a list of ordinary commands (cargo, cargo-deny, Envoy) with the tools they need fetched first.
//! What the tasks run lives in the other crates; nothing here knows about Istio or the filter.

mod build_filter;
mod build_image;
mod command;
mod compiler;
mod documents;
mod equivalence;
mod git;
mod go_tools;
mod lab;
mod mesh_lab;
mod module;
mod packages;
mod parsers;
mod release;
mod reproducible;
mod run;
mod servers;
mod test;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::lab::Profile;
use crate::test::Selection;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development tasks of lazymesh.")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Builds the Wasm module, and beside it its bill of materials and its provenance
    BuildFilter {
        /// Also elsewhere, with and without rustup's component rust-src, to see whether that is the same to the byte
        #[arg(long)]
        check: bool,
    },
    /// Builds the collector's container image, as an OCI image layout in `target/image`
    BuildImage {
        /// Without optimisation, in `target/image-dev`: as the tests take it
        #[arg(long)]
        dev: bool,
    },
    /// Shows the main job on a real Envoy: a first request to an unknown host, and what comes of it
    Demo {
        /// Leave everything running and print the URLs, until Ctrl-C
        #[arg(long)]
        keep: bool,
    },
    /// Runs every check that CI runs, or only the tests of a tier or a name
    Test(Selection),
    /// Measures one figure of docs/performance.md
    Bench {
        /// Name of the benchmark, for example `first-request`
        name: String,
        /// One JSON object per line instead of a table
        #[arg(long)]
        json: bool,
        /// Of the benchmark; `bench NAME -- --help` tells
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Tells where lazymesh does not do what istiod's own code does: folders with manifests.yaml and question.json, or
    /// golden cases of core
    Equivalence {
        /// Folders, or files that end in .input.yaml
        #[arg(required = true)]
        paths: Vec<String>,
    },
    /// Tries what is generated until something is wrong, or the time is over; prints it as small as it gets
    Fuzz {
        target: FuzzTarget,
        /// Of the fuzzer: `equivalence --seconds N --seed N --except KIND`, `module --calls N --seed N`, `hosts --hosts N`, `parsers --seconds N [TARGET]`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// A real Istio control plane with pods, without containers: `up`, `down`, `status`, `shell` (as root)
    #[command(disable_help_flag = true)]
    Lab {
        /// Of the lab's own program; `lab --help` tells
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Goes through a release: version check, build, push, signature, verification; lists what would be published
    Release {
        /// To a registry of its own, with a key that nobody keeps
        #[arg(long)]
        dry_run: bool,
    },
    /// Fetches the pinned tools that the other tasks use and prints where they are
    Tools,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum FuzzTarget {
    /// Meshes, on which lazymesh is held against istiod's own code
    Equivalence,
    /// Distinct hosts and destinations, which the filter's memory must bear
    Hosts,
    /// The filter as it is compiled, in a host that answers anything
    Module,
    /// Everything that reads bytes from outside, guided by coverage
    Parsers,
}

fn main() -> ExitCode {
    let outcome = run(Cli::parse().task);
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    eprintln!("error: {error:#}");
    if std::env::var("RUST_BACKTRACE").is_ok_and(|asked| asked == "full") {
        eprintln!("{}", error.backtrace());
    }
    ExitCode::FAILURE
}

fn run(task: Task) -> anyhow::Result<()> {
    let root = workspace_root();
    match task {
        Task::BuildFilter { check } => {
            let module = build_filter::run(&root)?;
            if check {
                reproducible::check(&root, &module)?;
            }
            Ok(())
        }
        Task::BuildImage { dev } => {
            let profile = if dev { Profile::Dev } else { Profile::Release };
            build_image::run(&root, profile).map(drop)
        }
        Task::Demo { keep } => run::demo(&root, keep),
        Task::Test(selection) => test::run(&root, &selection),
        Task::Bench {
            name,
            json,
            arguments,
        } => run::bench(&root, &name, json, &arguments),
        Task::Equivalence { paths } => equivalence::run(&root, "cases", &paths),
        Task::Fuzz { target, arguments } => match target {
            FuzzTarget::Equivalence => equivalence::run(&root, "fuzz", &arguments),
            FuzzTarget::Hosts => module::run(&root, "flood", &arguments),
            FuzzTarget::Module => module::run(&root, "fuzz", &arguments),
            FuzzTarget::Parsers => parsers::run(&root, &arguments),
        },
        Task::Lab { arguments } => mesh_lab::run(&root, &arguments),
        Task::Release { dry_run } => release::run(&root, dry_run),
        Task::Tools => tools::print_all(),
    }
}

fn workspace_root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}
