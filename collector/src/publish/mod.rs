//! Publishes Sidecars: a workqueue, the reconciler that plans what is due, and the sinks that apply it.

pub(crate) mod directory;
pub(crate) mod kubernetes;
pub(crate) mod queue;
pub(crate) mod reconciler;
pub mod sink;
pub(crate) mod workqueue;
