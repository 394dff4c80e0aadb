//! The crate from the outside, one binary for all: a registry in memory, a directory, and real registries.

mod docker_registry;
mod evidence;
mod hostile;
mod istio;
mod layout;
mod push;
mod signature;
mod support;
mod token_server;
