//! Whether the filter that is built elsewhere, from the same sources, is the same to the byte.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::{build_filter, compiler, git};

/// Copies the sources to another folder, builds the filter there, and compares it with `module`.
///
/// # Errors
/// When it cannot be built, or is another.
pub(crate) fn check(root: &Path, module: &Path) -> Result<()> {
    let elsewhere = tempfile::tempdir().context("no temporary folder")?;
    let sources = elsewhere.path().join("somewhere/else");
    copy_sources(root, &sources)?;
    // Other crates' sources lie elsewhere too, or seem to: their paths are in the module as well.
    let cargo_home = elsewhere.path().join("cargo");
    symlink(compiler::cargo_home()?, &cargo_home)?;
    let other = fs::read(build_filter::module(&sources, &cargo_home)?)?;
    let same = fs::read(module)?;
    let first = same.iter().zip(&other).position(|(a, b)| a != b);
    ensure!(
        same == other,
        "the filter depends on the folder it is built in: {} and {} bytes, first difference at {first:?}",
        same.len(),
        other.len()
    );
    println!(
        "reproducible: the same {} bytes from another folder",
        same.len()
    );
    Ok(())
}

fn copy_sources(root: &Path, to: &Path) -> Result<()> {
    for name in git::files(root)? {
        let target = to.join(&name);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(root.join(&name), &target)
            .with_context(|| format!("cannot copy {}", name.display()))?;
    }
    Ok(())
}
