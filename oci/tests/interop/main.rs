//! The crate and the command beside what others run: Debian's registry, skopeo, oras and cosign. `cargo xtask test interop`
//! says where they are.

mod clients;
mod command;
mod cosign;
mod docker_registry;
mod example;
mod image;
mod interrupt;
mod launcher;
mod login;
#[allow(
    dead_code,
    unused_imports,
    reason = "the other suite needs the rest of it"
)]
#[path = "../support/mod.rs"]
mod support;
mod token_server;
