//! Publishes Sidecars: a workqueue of what to reconcile, a reconciler for each namespace, and the sinks that apply plans.

pub(crate) mod directory;
pub(crate) mod kubernetes;
pub(crate) mod namespace;
pub(crate) mod reconciler;
pub(crate) mod scopes;
pub(crate) mod sink;
mod workqueue;
