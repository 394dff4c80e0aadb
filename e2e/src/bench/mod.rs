//! The benchmarks behind `docs/performance.md`.
//!
//! Every figure is measured beside its baseline in the same run, in turns, so that a machine whose speed drifts moves
//! both. What is quoted are medians of several turns.

mod filter_memory;
mod filter_overhead;
mod first_request;
mod load;
mod resolve;
mod row;

use anyhow::{Result, bail};

pub use row::Row;

/// Names that [`run`] knows.
pub const NAMES: [&str; 4] = [
    "filter-overhead",
    "first-request",
    "resolve",
    "filter-memory",
];

/// Runs one benchmark.
///
/// # Errors
/// For a name that is not among [`NAMES`], and when a part does not start or a request fails.
pub fn run(name: &str) -> Result<Vec<Row>> {
    match name {
        "filter-overhead" => on_all_cores(filter_overhead::run()),
        "first-request" => on_all_cores(first_request::run()),
        "resolve" => resolve::run(),
        "filter-memory" => on_all_cores(filter_memory::run()),
        _ => bail!("no benchmark {name:?}; there are {}", NAMES.join(", ")),
    }
}

fn on_all_cores(benchmark: impl Future<Output = Result<Vec<Row>>>) -> Result<Vec<Row>> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(benchmark)
}
