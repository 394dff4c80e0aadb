//! The proxy-wasm ABI, 0.2.1: the only part that knows it, and the only one with `unsafe` code.
//!
//! Bound here because the `proxy-wasm` crate panics where this module must not; see the crate's page.

#![allow(
    unsafe_code,
    reason = "a foreign interface: imports, exports and the host's memory"
)]

mod exports;
mod host;
mod imports;
mod memory;
mod vm;
