//! Watches the namespaces that are enforced bit by bit, and gives them their full scope back when something goes wrong.
//!
//! When that is, and what it means for Sidecars, is said in `lazymesh_core`; here it is counted, written down and told.

mod canaries;
mod config;
mod tally;

pub(crate) use self::canaries::Canaries;
pub use self::config::CanaryConfig;
