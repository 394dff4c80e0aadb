//! The `lazymesh` command: runs the collector, renders the attachment, and asks a collector what it knows.
//!
//! Every subcommand is a module with its arguments and its `run`.

mod always_visible;
mod bug_report;
mod check;
mod client;
mod collector;
mod command;
mod completion;
mod event_stream;
mod events;
mod explain;
mod file;
mod forget;
mod graph;
mod log;
mod manifests;
mod namespaces;
mod oci_copy;
mod oci_documents;
mod oci_inspect;
mod oci_pull;
mod oci_push;
mod oci_registry;
mod oci_sign;
mod oci_verify;
mod output;
mod plan;
mod resume;
mod sidecar;
mod status;
mod uninstall;
mod version;
mod workloads;

use std::io::{ErrorKind, Write as _, stderr};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory as _, Parser as _};
use lazymesh_oci::without_login;
use mimalloc::MiMalloc;

use crate::command::{Cli, Command};

/// Gives back to the system what nobody uses any more. What an attack took of glibc's stayed in the arenas of its threads.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|mistake| without_secrets(mistake).exit());
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever reads it may be gone, too.
            let _ = writeln!(stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Collector(args) => collector::run(*args),
        Command::Manifests(args) => manifests::run(&args),
        Command::Check(args) => check::run(*args),
        Command::Status(args) => status::run(args),
        Command::Version(args) => version::run(args),
        Command::BugReport(args) => bug_report::run(*args),
        Command::Graph(args) => graph::run(args),
        Command::Workloads(args) => workloads::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Events(args) => events::run(args),
        Command::Sidecar(args) => sidecar::run(args),
        Command::AlwaysVisible(args) => always_visible::run(args),
        Command::Forget(args) => forget::run(args),
        Command::Resume(args) => resume::run(args),
        Command::Push(args) => oci_push::run(*args),
        Command::Pull(args) => oci_pull::run(args),
        Command::Inspect(args) => oci_inspect::run(args),
        Command::Sign(args) => oci_sign::run(args),
        Command::Verify(args) => oci_verify::run(args),
        Command::Copy(args) => oci_copy::run(args),
        Command::Uninstall(args) => uninstall::run(args),
        Command::Completion(args) => completion::run(args, Cli::command()),
    }
}

/// A mistake on the command line repeats the value, which may be a URL with a password.
fn without_secrets(mut mistake: clap::Error) -> clap::Error {
    if let Some(ContextValue::String(value)) = mistake.get(ContextKind::InvalidValue) {
        let value = ContextValue::String(without_login(value));
        mistake.insert(ContextKind::InvalidValue, value);
    }
    mistake
}

/// `lazymesh graph | head` is no error.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
