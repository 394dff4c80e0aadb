//! A real Envoy, configured as Istio configures a sidecar.

mod bootstrap;
pub mod files;
mod process;
mod sources;

pub use bootstrap::Bootstrap;
pub(crate) use process::tail;
pub use process::{Envoy, Memory};
pub use sources::Sources;
