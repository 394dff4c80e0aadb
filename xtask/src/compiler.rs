//! The compiler that is here: what it can build for, and flags that keep this machine's paths out of what it builds.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// Whether the standard library for `target` is installed beside the compiler, if need be by rustup just now.
pub(crate) fn has_target(target: &str) -> bool {
    is_installed(target) || (rustup_adds(target) && is_installed(target))
}

fn is_installed(target: &str) -> bool {
    sysroot("rustc").is_ok_and(|sysroot| {
        let library = sysroot.join("lib/rustlib").join(target).join("lib");
        library.is_dir()
    })
}

fn rustup_adds(target: &str) -> bool {
    let added = Command::new("rustup")
        .args(["target", "add", target])
        .status();
    added.is_ok_and(|status| status.success())
}

/// Flags that give sources the same paths wherever they lie: those of the workspace in `root`, of the compiler, of other
/// crates, and `more` with their names. Paths end up in a program, in the places that panics name.
///
/// # Errors
/// When the compiler does not say where it is.
pub(crate) fn remapped_paths(
    root: &Path,
    compiler: &str,
    cargo_home: &Path,
    more: Option<(PathBuf, &str)>,
) -> Result<Vec<String>> {
    let mut paths = vec![
        (root.to_path_buf(), "lazymesh"),
        (sysroot(compiler)?, "rust"),
    ];
    paths.extend(more);
    // The registry's folder is named after its host.
    let registries = std::fs::read_dir(cargo_home.join("registry/src"));
    let registries = registries.into_iter().flatten().filter_map(Result::ok);
    paths.extend(registries.map(|registry| (registry.path(), "crates")));
    let remap =
        |(path, name): (PathBuf, &str)| format!("--remap-path-prefix={}={name}", path.display());
    Ok(paths.into_iter().map(remap).collect())
}

/// Gives `build` these flags, and none of the developer's own.
pub(crate) fn set_flags(build: &mut Command, flags: &[String]) {
    build
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
}

/// Where cargo keeps the sources of other crates.
///
/// # Errors
/// When there is no home directory either.
pub(crate) fn cargo_home() -> Result<PathBuf> {
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cargo")))
        .context("no home directory")
}

fn sysroot(compiler: &str) -> Result<PathBuf> {
    let mut ask = Command::new(compiler);
    let sysroot = crate::command::output(ask.args(["--print", "sysroot"]))?;
    Ok(PathBuf::from(String::from_utf8(sysroot)?.trim()))
}
