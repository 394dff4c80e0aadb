//! The compiler that is here: what it can build for, and flags that keep this machine's paths out of what it builds.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::output;

/// Whether the standard library for `target` is installed beside the compiler, if need be by rustup just now.
pub(crate) fn has_target(target: &str) -> bool {
    is_installed(target) || (rustup_adds(target) && is_installed(target))
}

fn is_installed(target: &str) -> bool {
    sysroot("rustc".as_ref()).is_ok_and(|sysroot| {
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
/// crates, of the standard library, and `more` with their names. Paths end up in a program, in the places that panics name.
///
/// # Errors
/// When the compiler does not say where it is.
pub(crate) fn remapped_paths(
    root: &Path,
    compiler: &Path,
    cargo_home: &Path,
    more: Option<(PathBuf, &str)>,
) -> Result<Vec<String>> {
    let sysroot = sysroot(compiler)?;
    let mut paths = vec![
        (root.to_path_buf(), "lazymesh".to_owned()),
        (sysroot.clone(), "rust".to_owned()),
    ];
    paths.extend(more.map(|(path, name)| (path, name.to_owned())));
    // The registry's folder is named after its host.
    let registries = std::fs::read_dir(cargo_home.join("registry/src"));
    let registries = registries.into_iter().flatten().filter_map(Result::ok);
    paths.extend(registries.map(|registry| (registry.path(), "crates".to_owned())));
    // Behind the sysroot, of which it is a part: the last one that fits counts.
    let name = standard_library(compiler)?;
    let sources = sources_of_standard_library(&sysroot);
    paths.extend(sources.into_iter().map(|path| (path, name.clone())));
    let remap =
        |(path, name): (PathBuf, String)| format!("--remap-path-prefix={}={name}", path.display());
    Ok(paths.into_iter().map(remap).collect())
}

/// Where rustup's component `rust-src` puts the sources. The compiler names them wherever they are there, a link's target
/// for the link.
fn sources_of_standard_library(sysroot: &Path) -> Vec<PathBuf> {
    let sources = sysroot.join(STANDARD_LIBRARY);
    let target = std::fs::read_link(&sources).ok();
    std::iter::once(sources).chain(target).collect()
}

/// Path of the sources' folder in a sysroot.
pub(crate) const STANDARD_LIBRARY: &str = "lib/rustlib/src/rust";

/// What the compiler calls the sources' folder where they are not there.
fn standard_library(compiler: &Path) -> Result<String> {
    let version = output(Command::new(compiler).arg("-vV"))?;
    let version = String::from_utf8(version)?;
    let find = |key: &str| version.lines().find_map(|line| line.strip_prefix(key));
    let commit = find("commit-hash: ").filter(|commit| *commit != "unknown");
    let name = commit.or_else(|| find("release: "));
    Ok(format!(
        "/rustc/{}",
        name.context("the compiler has no version")?
    ))
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

/// Where the compiler's own files are.
///
/// # Errors
/// When it does not say so.
pub(crate) fn sysroot(compiler: &Path) -> Result<PathBuf> {
    let mut ask = Command::new(compiler);
    let sysroot = output(ask.args(["--print", "sysroot"]))?;
    Ok(PathBuf::from(String::from_utf8(sysroot)?.trim()))
}
