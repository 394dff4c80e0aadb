//! Declares the module's own memory bounds, however it is built: a host has no other way to know them.

/// Deepest recursion is serde_json's, bounded by the size of an answer.
const STACK_BYTES: u32 = 128 * 1024;
/// Most linear memory the module may ever have: an order of magnitude above what its own bounds add up to.
const MAX_MEMORY_BYTES: u32 = 32 * 1024 * 1024;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("wasm32") {
        println!("cargo:rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
        println!("cargo:rustc-link-arg-cdylib=--max-memory={MAX_MEMORY_BYTES}");
    }
}
