//! Measures figures of `docs/performance.md`. `cargo xtask bench` says where the parts are.

use std::process::ExitCode;

use clap::Parser;
use lazymesh_e2e::{bench::Benchmark, exit};

#[derive(Parser)]
#[command(
    name = "cargo xtask bench",
    about = "Measures figures of docs/performance.md."
)]
struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
    /// One JSON object per line instead of a table.
    #[arg(long, global = true)]
    json: bool,
}

fn main() -> ExitCode {
    exit::status(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    for row in arguments.benchmark.run()? {
        if arguments.json {
            println!("{}", serde_json::to_string(&row)?);
        } else {
            println!("{row}");
        }
    }
    Ok(())
}
