//! Reads the mesh from watches of the Kubernetes API.

pub(crate) mod cluster_domain;
mod convert;
mod mesh_config;
pub(crate) mod source;
