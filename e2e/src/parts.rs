//! The binaries under test. `cargo xtask` fetches or builds them and says where they are.

use std::{env, path::PathBuf};

use anyhow::{Context, Result, ensure};

/// A real Envoy.
///
/// # Errors
/// When `cargo xtask` did not say where it is.
pub fn envoy() -> Result<PathBuf> {
    part("LAZYMESH_ENVOY")
}

/// The filter's Wasm module.
///
/// # Errors
/// As [`envoy`].
pub fn filter() -> Result<PathBuf> {
    part("LAZYMESH_FILTER")
}

/// The `lazymesh` binary.
///
/// # Errors
/// As [`envoy`].
pub fn lazymesh() -> Result<PathBuf> {
    part("LAZYMESH_BIN")
}

/// The collector's container image, in an OCI image layout.
///
/// # Errors
/// As [`envoy`].
pub fn image() -> Result<PathBuf> {
    part("LAZYMESH_IMAGE")
}

/// Folder of what was built from the Go modules of `e2e/tools`.
///
/// # Errors
/// As [`envoy`].
#[cfg(feature = "lab")]
pub fn lab_tools() -> Result<PathBuf> {
    part("LAZYMESH_LAB_TOOLS")
}

/// Folder of PostgreSQL's programs and what they need.
///
/// # Errors
/// As [`envoy`].
#[cfg(feature = "lab")]
pub fn postgres() -> Result<PathBuf> {
    part("LAZYMESH_POSTGRES")
}

/// A Redis.
///
/// # Errors
/// As [`envoy`].
#[cfg(feature = "lab")]
pub fn redis() -> Result<PathBuf> {
    part("LAZYMESH_REDIS")
}

fn part(variable: &str) -> Result<PathBuf> {
    let path = PathBuf::from(
        env::var_os(variable)
            .with_context(|| format!("{variable} is not set: run `cargo xtask test`"))?,
    );
    ensure!(
        path.exists(),
        "{variable}={} is not there: run `cargo xtask test`",
        path.display()
    );
    // Envoy reads the path from its configuration, not from our working directory.
    Ok(path.canonicalize()?)
}
