//! `lazymesh-module`: runs the filter as it is compiled in a host of our own. `cargo xtask fuzz` builds both and starts it.

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use lazymesh_module::{Compiled, flood, fuzz};

/// Runs the filter as it is compiled in a host of our own.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Callbacks in any order, host calls answered with any status and any bytes, until one traps
    Fuzz {
        /// How many
        #[arg(long, value_name = "N", default_value_t = 1_000_000)]
        calls: u64,
        /// Where to start; the same one makes the same calls
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Distinct hosts and destinations, one after the other; tells the memory of the VM
    Flood {
        /// How many
        #[arg(long, value_name = "N", default_value_t = 1_000_000)]
        hosts: u32,
    },
}

fn main() -> Result<()> {
    let task = Arguments::parse().task;
    let module = env::var_os("LAZYMESH_FILTER")
        .context("LAZYMESH_FILTER is not set: run `cargo xtask fuzz`")?;
    let compiled = Compiled::read(Path::new(&module))?;
    match task {
        Task::Fuzz { calls, seed } => {
            let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
            println!("seed {seed}");
            let fuzzed = fuzz(&compiled, calls, seed)?;
            println!(
                "{} calls, 0 traps, at most {} KiB of memory",
                fuzzed.calls,
                fuzzed.memory / 1024
            );
        }
        Task::Flood { hosts } => {
            let flooded = flood(&compiled, hosts)?;
            println!(
                "{hosts} hosts and destinations: {} KiB of memory, {} KiB after half of them",
                flooded.memory / 1024,
                flooded.early / 1024
            );
        }
    }
    Ok(())
}
