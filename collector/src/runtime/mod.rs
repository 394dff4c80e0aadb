//! Runs a collector: configuration, listeners, readiness, metrics, and what ties the stations together.

pub(crate) mod clock;
mod collector;
pub(crate) mod config;
pub mod flag;
pub(crate) mod fsync;
pub(crate) mod kubernetes;
pub(crate) mod listen;
pub(crate) mod metrics;
pub(crate) mod readiness;
pub(crate) mod retry;
mod serve;
mod server;

pub use self::collector::Collector;
pub use self::server::{Server, ServerError};
