//! Whether the filter that is built elsewhere, from the same sources, is the same to the byte.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::build_filter::{self, Surroundings};
use crate::compiler::{self, STANDARD_LIBRARY};
use crate::git;

/// Copies the sources to another folder, builds the filter there, and compares it with `module`.
///
/// # Errors
/// When it cannot be built, or is another.
pub(crate) fn check(root: &Path, module: &Path) -> Result<()> {
    let elsewhere = tempfile::tempdir().context("no temporary folder")?;
    let sources = elsewhere.path().join("somewhere/else");
    copy_sources(root, &sources)?;
    let surroundings = other_surroundings(elsewhere.path())?;
    let other = fs::read(build_filter::module(&sources, &surroundings)?)?;
    let same = fs::read(module)?;
    let first = same.iter().zip(&other).position(|(a, b)| a != b);
    ensure!(
        same == other,
        "expected the same module from another folder, and whether or not rustup's component rust-src is there; \
         got {} and {} bytes, first difference at {first:?}",
        same.len(),
        other.len()
    );
    println!(
        "reproducible: the same {} bytes from another folder, with and without rust-src",
        same.len()
    );
    Ok(())
}

/// What other crates' sources, the compiler and the standard library's sources lie in: elsewhere, or so it seems. Their
/// paths are in the module as well.
fn other_surroundings(folder: &Path) -> Result<Surroundings> {
    let here = Surroundings::here()?;
    let cargo_home = folder.join("cargo");
    symlink(&here.cargo_home, &cargo_home)?;
    Ok(Surroundings {
        compiler: other_compiler(&here.compiler, folder)?,
        cargo_home,
    })
}

/// The same compiler, which has the standard library's sources if this one has them not.
fn other_compiler(compiler: &Path, folder: &Path) -> Result<PathBuf> {
    let sysroot = compiler::sysroot(compiler)?;
    let other = folder.join("sysroot");
    link_all_but(&sysroot, &other, STANDARD_LIBRARY)?;
    if !sysroot.join(STANDARD_LIBRARY).exists() {
        // The file that the compiler knows them by; it reads none of them.
        let known_by = other.join(STANDARD_LIBRARY).join("library/std/src/lib.rs");
        fs::create_dir_all(known_by.parent().unwrap_or(&other))?;
        fs::write(known_by, "")?;
    }
    let program = folder.join("rustc");
    let script = format!(
        "#!/bin/sh\nexec '{}' --sysroot '{}' \"$@\"\n",
        compiler.display(),
        other.display()
    );
    fs::write(&program, script)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    Ok(program)
}

/// Makes `to` a folder of links to what is in `from`, but for what is at `but` in it.
fn link_all_but(from: &Path, to: &Path, but: &str) -> Result<()> {
    let (first, rest) = but.split_once('/').unwrap_or((but, ""));
    fs::create_dir_all(to)?;
    let entries = fs::read_dir(from).with_context(|| from.display().to_string())?;
    for entry in entries {
        let name = entry?.file_name();
        if name != first {
            symlink(from.join(&name), to.join(&name))?;
        } else if !rest.is_empty() {
            link_all_but(&from.join(&name), &to.join(&name), rest)?;
        }
    }
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
