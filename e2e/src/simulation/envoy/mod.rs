//! A real Envoy, configured as Istio configures a sidecar.

mod bootstrap;
pub mod files;
mod process;
mod sources;

pub use bootstrap::Bootstrap;
pub use process::Envoy;
pub(crate) use process::tail;
pub use sources::Sources;
