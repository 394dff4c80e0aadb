//! The lazymesh collector: takes what sidecars do not know, learns it for good, decides, and publishes
//! Sidecars.
//!
//! Data flows one way: a report comes in through [`api`] and `ingest`, is learned once the [`store`] has it, is planned
//! into a Sidecar by `lazymesh_core`, and leaves through `publish`. What exists in the mesh comes from an
//! `inventory` source: a directory of manifests, or Kubernetes.
//!
//! Deliberately absent: rules. What a name means, what is answered and what stands in a Sidecar are pure
//! functions in `lazymesh_core`.

pub mod api;
pub mod attach;
mod canary;
pub mod check;
mod history;
mod ingest;
mod inventory;
pub mod kubernetes;
mod learn;
mod prometheus;
mod publish;
mod runtime;
mod spans;
mod state;
pub mod store;
mod uses;

pub use self::canary::CanaryConfig;
pub use self::ingest::{IngestIdentity, ReportError, ResolveError};
pub use self::inventory::directory;
pub use self::prometheus::{PrometheusConfig, PrometheusError};
pub use self::runtime::config::{Config, LimitsConfig, MeshConfig, PlacesConfig, VisibilityConfig};
pub use self::runtime::flag;
pub use self::runtime::listen::{Addresses, IdentityFrom, ListenConfig, ListenError};
pub use self::runtime::readiness::{Check, NotReady};
pub use self::runtime::{Collector, Server, ServerError};
pub use self::spans::{SpansConfig, SpansError};
