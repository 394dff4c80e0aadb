//! Talks to the Kubernetes API: the client, the kinds, server-side apply, errors.
//!
//! The stations of the pipeline that use it are elsewhere: `inventory::kubernetes` reads the mesh, `publish::kubernetes`
//! publishes Sidecars, `attach` keeps the filter attached.

pub(crate) mod apply;
mod config;
mod connect;
pub(crate) mod error;
pub(crate) mod events;
#[cfg(test)]
pub(crate) mod fixtures;
pub(crate) mod kinds;
pub(crate) mod lease;
mod mode;

pub use self::config::KubernetesConfig;
pub use self::connect::ConnectConfig;
pub use self::error::KubernetesError;
pub use self::mode::label_namespace;
