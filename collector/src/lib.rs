//! The lazymesh collector: takes what sidecars do not know, learns it for good, decides, and publishes
//! Sidecars.
//!
//! Data flows one way: a report comes in through [`rest`], becomes part of the graph once the [`store`] has it,
//! is planned into a Sidecar by `lazymesh_core`, and leaves through a [`publisher`]. What exists in the mesh
//! comes from an inventory source: a [`directory`] of manifests, or Kubernetes.
//!
//! Deliberately absent: rules. What a name means, what is answered and what stands in a Sidecar are pure
//! functions in `lazymesh_core`.

mod agenda;
mod clock;
mod collector;
mod config;
pub mod directory;
mod effect;
mod fsync;
mod heard;
mod identity;
mod inventory;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
mod learn;
mod listen;
mod metrics;
mod publish;
pub mod publisher;
mod queue;
mod readiness;
mod report;
mod resolve;
pub mod rest;
mod serve;
mod server;
pub mod store;
mod usage;
mod xfcc;

pub use self::collector::Collector;
pub use self::config::{Config, LimitsConfig, MeshConfig, PlacesConfig, VisibilityConfig};
pub use self::identity::IngestIdentity;
pub use self::listen::{Addresses, IdentityFrom, ListenConfig, ListenError};
pub use self::readiness::{Check, NotReady};
pub use self::report::ReportError;
pub use self::resolve::ResolveError;
pub use self::server::{Server, ServerError};
