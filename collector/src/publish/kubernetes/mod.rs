//! Publishes Sidecars to the Kubernetes API.

pub(crate) mod cache;
pub(crate) mod owner;
mod sink;

pub(crate) use self::sink::KubernetesSink;
