//! The crate from the outside, one binary for all: a registry in memory, a directory, and real registries.

mod hostile_registry;
mod push;
mod support;
