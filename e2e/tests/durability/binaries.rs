//! The programs under test and the fault layer.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The `lazymesh` binary: the one that `cargo xtask` names, or built here.
pub(crate) fn lazymesh() -> Result<PathBuf> {
    static BUILT: LazyLock<Result<PathBuf>> =
        LazyLock::new(|| lazymesh_e2e::parts::lazymesh().or_else(|_| built("lazymesh-cli", "bin")));
    shared(&BUILT)
}

/// The command of the fault layer.
pub(crate) fn powercut() -> Result<PathBuf> {
    static BUILT: LazyLock<Result<PathBuf>> = LazyLock::new(|| built("lazymesh-powercut", "bin"));
    shared(&BUILT)
}

/// The library of the fault layer.
pub(crate) fn layer() -> Result<PathBuf> {
    static BUILT: LazyLock<Result<PathBuf>> =
        LazyLock::new(|| built("lazymesh-powercut", "cdylib"));
    shared(&BUILT)
}

fn shared(built: &Result<PathBuf>) -> Result<PathBuf> {
    built
        .as_ref()
        .cloned()
        .map_err(|error| anyhow::anyhow!("{error:#}"))
}

fn built(package: &str, kind: &str) -> Result<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "build",
        "--package",
        package,
        "--message-format",
        "json-render-diagnostics",
    ]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cannot build {package}:\n{errors}");
    let path = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter(|message| message["target"]["kind"] == serde_json::json!([kind]))
        .find_map(|message| message["filenames"][0].as_str().map(PathBuf::from));
    path.with_context(|| format!("cargo does not say where the {kind} of {package} is"))
}
