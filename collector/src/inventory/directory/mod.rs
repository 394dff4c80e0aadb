//! Directories of manifests, for GitOps, dry runs and demos: one to read the mesh from, one to write
//! Sidecars to. Both behave like the Kubernetes API would: what is read is validated, what is written is
//! written as a whole or not at all.
//!
//! The two may be the same directory.

mod catalog;
mod manifest;
mod problem;
pub(crate) mod scan;
mod source;
mod tree;
pub(crate) mod yaml;

pub use problem::Problem;
pub use source::{DirectorySource, SourceError};
