//! Learns from Prometheus what workloads have called: first what living pods have, then the past, then minute by minute.
//!
//! Whatever it answers is only counted and named here; what a name means is said by the inventory, as for access logs.

mod answer;
mod client;
mod config;
mod failures;
mod progress;
mod query;
mod reader;
mod series;

pub(crate) use self::client::Client;
pub use self::config::{PrometheusConfig, PrometheusError};
pub(crate) use self::failures::Failures;
pub(crate) use self::reader::{Reader, Stations};
