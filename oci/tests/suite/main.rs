//! The crate from the outside, one binary for all: a registry in memory, a directory, and real registries.

mod clients;
mod command;
mod cosign;
mod docker_registry;
mod evidence;
mod example;
mod hostile;
mod image;
mod interrupt;
mod launcher;
mod layout;
mod login;
mod push;
mod signature;
mod support;
mod token_server;
