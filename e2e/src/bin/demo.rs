//! `lazymesh-demo`: shows lazymesh at work on a real Envoy. `cargo xtask demo` builds what it needs and runs it.

use std::process::ExitCode;

use clap::Parser;
use lazymesh_e2e::{demo, exit};

/// Shows lazymesh at work on a real Envoy: what a first request to an unknown host causes.
#[derive(Parser)]
struct Arguments {
    /// Leave everything running and print the URLs, until Ctrl-C
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match demo::run(arguments.keep).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => exit::status(Err(error)),
    }
}
