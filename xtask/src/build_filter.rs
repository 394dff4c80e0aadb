//! `cargo xtask build-filter`: the Wasm module, with whatever on this machine can build it, and its documents.
//!
//! The result depends on the sources and on the compiler only, not on where they lie: every path of this machine is
//! mapped to a fixed one.

mod documents;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{cargo, run as run_command};

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "filter";
const PACKAGE: &str = "lazymesh-filter";

/// Debian's compiler: packages rustc-web, rust-web-src, lld and libllvm.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// What the module is built with.
enum Toolchain {
    /// The target's standard library is installed beside the compiler.
    Installed,
    /// rustup has just installed it.
    Rustup,
    /// It is built from source along with the module.
    Debian { sources: PathBuf, linker: PathBuf },
}

/// Builds the module, writes what there is to say about it beside it, and returns its path.
///
/// # Errors
/// When no toolchain for the target is to be had, or the build fails.
pub(crate) fn run(root: &Path) -> Result<PathBuf> {
    let toolchain = toolchain()?;
    let module = build(root, &toolchain, &cargo_home()?)?;
    documents::write(root, &module, &toolchain)?;
    Ok(module)
}

/// Builds the module of sources that need not be a checkout, without documents, with another `$CARGO_HOME`.
///
/// # Errors
/// As [`run`].
pub(crate) fn module(root: &Path, cargo_home: &Path) -> Result<PathBuf> {
    build(root, &toolchain()?, cargo_home)
}

fn build(root: &Path, toolchain: &Toolchain, cargo_home: &Path) -> Result<PathBuf> {
    println!("build-filter: {}", toolchain.describe());
    let target_dir = root.join("target/filter");
    run_command(&mut toolchain.build(root, &target_dir, cargo_home)?)?;
    let module = target_dir
        .join(TARGET)
        .join(PROFILE)
        .join("lazymesh_filter.wasm");
    let size = std::fs::metadata(&module)
        .with_context(|| format!("no module at {}", module.display()))?
        .len();
    println!(
        "build-filter: {} ({:.1} KB)",
        module.display(),
        size as f64 / 1e3
    );
    Ok(module)
}

fn toolchain() -> Result<Toolchain> {
    if is_installed() {
        return Ok(Toolchain::Installed);
    }
    if rustup_adds_it() && is_installed() {
        return Ok(Toolchain::Rustup);
    }
    debian().with_context(|| {
        format!("no compiler for {TARGET}: `rustup target add {TARGET}` failed, and Debian's rustc-web is not installed")
    })
}

fn is_installed() -> bool {
    sysroot("rustc").is_some_and(|sysroot| {
        sysroot
            .join("lib/rustlib")
            .join(TARGET)
            .join("lib")
            .is_dir()
    })
}

fn rustup_adds_it() -> bool {
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .status();
    added.is_ok_and(|status| status.success())
}

/// Debian names its sources and its linker by their versions.
fn debian() -> Option<Toolchain> {
    let release = output(Command::new(DEBIAN_RUSTC).arg("-vV"))?;
    let release = release
        .lines()
        .find_map(|line| line.strip_prefix("release: "))?;
    let sources = Path::new("/usr/src")
        .join(format!("rustc-{release}"))
        .join("library");
    let linker = std::fs::read_dir("/usr/bin")
        .ok()?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| is_wasm_ld(path))
        .max()?;
    sources
        .is_dir()
        .then_some(Toolchain::Debian { sources, linker })
}

fn is_wasm_ld(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with("wasm-ld"))
}

impl Toolchain {
    fn describe(&self) -> String {
        match self {
            Self::Installed => format!("with the installed target {TARGET}"),
            Self::Rustup => format!("with the target {TARGET} that rustup has just added"),
            Self::Debian { sources, .. } => {
                format!("with {DEBIAN_RUSTC} and std from {}", sources.display())
            }
        }
    }

    fn compiler(&self) -> &'static str {
        match self {
            Self::Installed | Self::Rustup => "rustc",
            Self::Debian { .. } => DEBIAN_RUSTC,
        }
    }

    /// Where the standard library comes from, in words that are the same on every machine.
    fn standard_library(&self) -> &'static str {
        match self {
            Self::Installed | Self::Rustup => "as distributed",
            Self::Debian { .. } => "built from source",
        }
    }

    fn build(&self, root: &Path, target_dir: &Path, cargo_home: &Path) -> Result<Command> {
        let mut build = cargo(root, &["rustc", "--package", PACKAGE, "--lib", "--locked"]);
        // As the only crate type: beside an rlib, cargo leaves link-time optimisation out.
        build
            .args([
                "--crate-type",
                "cdylib",
                "--profile",
                PROFILE,
                "--target",
                TARGET,
                "--target-dir",
            ])
            .arg(target_dir);
        let compiler = self.compiler();
        if let Self::Debian { sources, linker } = self {
            build.args(["-Z", "build-std=std,panic_abort"]);
            // Debian's compiler is a stable one; both names are what its own packages of std are built with.
            build
                .env("RUSTC", compiler)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("__CARGO_TESTS_ONLY_SRC_ROOT", sources);
            build.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        let flags = remapped_paths(root, self, cargo_home)?;
        build
            .env("CARGO_HOME", cargo_home)
            .env_remove("RUSTFLAGS")
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        Ok(build)
    }
}

/// Paths end up in the module, in the places that panics name. The registry's folder is named after its host.
fn remapped_paths(root: &Path, toolchain: &Toolchain, cargo_home: &Path) -> Result<Vec<String>> {
    let compiler = toolchain.compiler();
    let sysroot =
        sysroot(compiler).with_context(|| format!("`{compiler} --print sysroot` failed"))?;
    let mut paths = vec![(root.to_path_buf(), "lazymesh"), (sysroot, "rust")];
    if let Toolchain::Debian { sources, .. } = toolchain {
        paths.push((sources.clone(), "library"));
    }
    let registries = std::fs::read_dir(cargo_home.join("registry/src"));
    let registries = registries.into_iter().flatten().filter_map(Result::ok);
    paths.extend(registries.map(|registry| (registry.path(), "crates")));
    let remap =
        |(path, name): (PathBuf, &str)| format!("--remap-path-prefix={}={name}", path.display());
    Ok(paths.into_iter().map(remap).collect())
}

/// Where cargo keeps the sources of other crates.
pub(crate) fn cargo_home() -> Result<PathBuf> {
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cargo")))
        .context("no home directory")
}

fn sysroot(compiler: &str) -> Option<PathBuf> {
    let sysroot = output(Command::new(compiler).args(["--print", "sysroot"]))?;
    Some(PathBuf::from(sysroot.trim()))
}

fn output(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}
