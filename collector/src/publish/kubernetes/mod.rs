//! Publishes Sidecars to the Kubernetes API.

pub(crate) mod ours;
pub(crate) mod owner;
mod sink;
mod steps;

pub(crate) use self::sink::KubernetesPublisher;
