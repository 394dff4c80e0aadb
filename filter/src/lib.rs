//! The lazymesh filter: what a sidecar runs on requests and connections to hosts that its configuration does not know.
//!
//! It asks the collector what to do with one, holds it meanwhile, and sends it on: a request by one header that a route
//! of the catch-all virtual host reads, a connection by filter state. When anything is missing, late or wrong, it goes
//! where it would have gone without the filter.
//!
//! Everything but the module `abi` is ordinary Rust: it takes the time as an argument, sees the proxy through the
//! [`Host`] trait only, and is tested on the build machine.
//!
//! **Invariant: the module never traps.** A trap would leave every paused request hanging and take the filter out of
//! the worker until its configuration changes. Hence the lints below, and hence the proxy-wasm ABI is bound here
//! and not by the `proxy-wasm` crate, whose host calls and dispatcher panic on statuses and tokens that they do not
//! expect. Binding it also lets the module export only the callbacks it needs: a callback that is not exported costs
//! no entry into the VM, so bodies and responses never enter it at all.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

#[cfg(target_arch = "wasm32")]
mod abi;
mod alarm;
mod answer;
mod breaker;
mod callouts;
mod catch_all;
mod client_hello;
mod config;
mod counts;
mod decisions;
mod filter_state;
mod flow;
mod heartbeat;
mod holds;
mod host;
mod identity;
mod json;
mod metrics;
mod outside;
mod plugin;
mod prefixes;
mod question;
mod random;
mod shared;
mod snapshot;

pub use client_hello::ClientHello;
pub use config::ConfigError;
pub use host::{Action, Call, ContextId, Host, Level, Stream, Token, Written};
pub use metrics::{Kind, Metric};
pub use plugin::Plugin;
