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
        compiler: compiler_elsewhere(&here.compiler, folder, !has_sources(&here.compiler)?)?,
        cargo_home,
    })
}

/// Whether the standard library's sources are beside a compiler.
fn has_sources(compiler: &Path) -> Result<bool> {
    Ok(compiler::sysroot(compiler)?.join(STANDARD_LIBRARY).exists())
}

/// The same compiler in another place, with the standard library's sources or without.
fn compiler_elsewhere(compiler: &Path, folder: &Path, sources: bool) -> Result<PathBuf> {
    let other = folder.join("sysroot");
    link_all_but(&compiler::sysroot(compiler)?, &other, STANDARD_LIBRARY)?;
    if sources {
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::command;

    /// Panics inside the standard library, whose paths so come into what is made of it.
    const SOURCE: &str = "
        pub fn forget(map: &mut std::collections::BTreeMap<u32, String>, key: u32) -> Option<String> {
            map.insert(key + 1, String::new());
            map.remove(&key)
        }
    ";

    /// What a compiler makes of [`SOURCE`], with the flags that the module has.
    fn compile(compiler: &Path, folder: &Path) -> Result<Vec<u8>> {
        fs::create_dir_all(folder)?;
        let (source, object) = (folder.join("source.rs"), folder.join("object.o"));
        fs::write(&source, SOURCE)?;
        let mut rustc = Command::new(compiler);
        rustc
            .args(["--crate-type=lib", "--crate-name=source", "--edition=2024"])
            .args(["--emit=obj", "-Cpanic=abort", "-Ccodegen-units=1", "-o"])
            .args([&object, &source])
            .args(compiler::remapped_paths(folder, compiler, folder, None)?);
        command::run(&mut rustc)?;
        Ok(fs::read(object)?)
    }

    #[test]
    fn sources_of_the_standard_library_change_nothing() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let here = Path::new("rustc");
        let mut made = vec![compile(here, &folder.path().join("here"))?];
        for (name, sources) in [("with", true), ("without", false)] {
            let folder = folder.path().join(name);
            fs::create_dir(&folder)?;
            let compiler = compiler_elsewhere(here, &folder, sources)?;
            assert_eq!(has_sources(&compiler)?, sources);
            made.push(compile(&compiler, &folder.join("sources"))?);
        }
        let named = b"/rustc/";
        assert!(made[0].windows(named.len()).any(|part| part == named));
        assert!(made.iter().all(|object| *object == made[0]));
        Ok(())
    }
}
