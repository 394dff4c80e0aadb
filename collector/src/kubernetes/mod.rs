//! Kubernetes: the mesh is read from its API, Sidecars are published to it, the attachment is applied to it.
//!
//! [`KubernetesPublisher`] and the source share what they know of the Sidecars that are ours, so that what
//! somebody edits or deletes is put right, and what is as it should be costs no request.
//!
//! Deliberately absent: leader election. The store has one owner, and so has the mesh.

mod apply;
mod attach;
mod cluster_domain;
mod config;
mod connect;
mod convert;
mod duration;
mod error;
#[cfg(test)]
mod fixtures;
mod follow;
mod istio_version;
mod kinds;
mod link;
mod mesh_config;
mod ours;
mod owner;
mod publisher;
mod selector;
mod source;
mod steps;
mod uninstall;
mod world;

pub use attach::AttachConfig;
pub use config::KubernetesConfig;
pub use connect::ConnectConfig;
pub use duration::duration;
pub use error::KubernetesError;
pub(crate) use link::Link;
pub use publisher::KubernetesPublisher;
pub use uninstall::{Uninstall, UninstallError};
