//! The benchmarks behind `docs/performance.md`.
//!
//! Every figure is measured beside its baseline in the same run, in turns or side by side, so that a machine whose
//! speed drifts moves both.

mod als;
#[cfg(feature = "lab")]
pub mod churn;
mod corpus;
mod filter_memory;
mod filter_overhead;
mod first_connection;
pub mod first_request;
mod lazy_share;
pub mod limits;
mod load;
#[cfg(feature = "lab")]
pub mod mesh_scale;
mod outside;
mod pairs;
pub mod prometheus;
mod readers;
mod resolve;
mod row;
pub mod soak;

use anyhow::Result;
use clap::Subcommand;

pub use row::{Pairs, Row};

/// What can be measured.
#[derive(Clone, Debug, Subcommand)]
pub enum Benchmark {
    /// What the filter costs requests to a host that the sidecar knows
    FilterOverhead,
    /// What a first request costs more than others
    FirstRequest(first_request::Settings),
    /// Throughput of the collector
    Resolve,
    /// Entries of access logs that the collector takes
    Als,
    /// Share of real applications' services that stay in every scope
    LazyShare,
    /// Memory of a sidecar without and with the filter
    FilterMemory,
    /// What filters wait while others read everything
    Readers,
    /// Memory of a collector that has learned all that it may, under attack, in the memory of the chart (as root)
    Limits(limits::Settings),
    /// Memory and time of the collector that reads a Prometheus of a million series
    Prometheus(prometheus::Settings),
    /// Memory, disk and latency of the collector while known hosts are used for long
    Soak(soak::Settings),
    /// Requests, streams and sessions that are lost while dependencies come and go (as root)
    #[cfg(feature = "lab")]
    Churn(churn::Settings),
    /// Memory, xDS and pushes in a mesh of thousands of services, lazy against full (as root)
    #[cfg(feature = "lab")]
    MeshScale(mesh_scale::Options),
}

impl Benchmark {
    /// Measures.
    ///
    /// # Errors
    /// When a part does not start or a request fails.
    pub fn run(&self) -> Result<Vec<Row>> {
        match self {
            Self::FilterOverhead => on_all_cores(filter_overhead::run()),
            Self::FirstRequest(settings) => on_all_cores(first_request::run(*settings)),
            Self::Resolve => resolve::run(),
            Self::Als => als::run(),
            Self::LazyShare => lazy_share::run(),
            Self::FilterMemory => on_all_cores(filter_memory::run()),
            Self::Readers => on_all_cores(readers::run()),
            Self::Limits(settings) => on_all_cores(limits::run(settings)),
            Self::Prometheus(settings) => on_all_cores(prometheus::run(settings)),
            Self::Soak(settings) => on_all_cores(soak::run(settings)),
            #[cfg(feature = "lab")]
            Self::Churn(settings) => on_all_cores(churn::run(settings)),
            #[cfg(feature = "lab")]
            Self::MeshScale(options) => on_all_cores(mesh_scale::run(options)),
        }
    }
}

fn on_all_cores(benchmark: impl Future<Output = Result<Vec<Row>>>) -> Result<Vec<Row>> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(benchmark)
}
