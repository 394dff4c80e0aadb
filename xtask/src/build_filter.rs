//! `cargo xtask build-filter`: the Wasm module, with whatever on this machine can build it, and its documents.
//!
//! The result depends on the sources and on the compiler only, not on where they lie: every path of this machine is
//! mapped to a fixed one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use lazymesh_documents::Kind;
use sha2::{Digest, Sha256};

use crate::command::{cargo, run as run_command};
use crate::compiler::{self, cargo_home};
use crate::documents::Built;
use crate::git::Checkout;

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "filter";
const PACKAGE: &str = "lazymesh-filter";

/// Debian's compiler: packages rustc-web, rust-web-src, lld and libllvm.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// What the module is built with.
enum Toolchain {
    /// The target's standard library is installed beside the compiler, by rustup or otherwise.
    Installed,
    /// It is built from source along with the module.
    Debian { sources: PathBuf, linker: PathBuf },
}

/// What of the machine a build takes, and its result must not depend on.
pub(crate) struct Surroundings {
    pub(crate) compiler: PathBuf,
    pub(crate) cargo_home: PathBuf,
}

impl Surroundings {
    /// Those that [`run`] builds in.
    ///
    /// # Errors
    /// When no toolchain for the target is to be had.
    pub(crate) fn here() -> Result<Self> {
        Self::of(&toolchain()?)
    }

    fn of(toolchain: &Toolchain) -> Result<Self> {
        Ok(Self {
            compiler: toolchain.compiler().into(),
            cargo_home: cargo_home()?,
        })
    }
}

/// Builds the module, writes what there is to say about it beside it, and returns its path.
///
/// # Errors
/// When no toolchain for the target is to be had, or the build fails.
pub(crate) fn run(root: &Path) -> Result<PathBuf> {
    let toolchain = toolchain()?;
    let module = build(root, &toolchain, &Surroundings::of(&toolchain)?)?;
    describe(root, &module, &toolchain)?;
    Ok(module)
}

/// Builds the module of sources that need not be a checkout, without documents.
///
/// # Errors
/// As [`run`].
pub(crate) fn module(root: &Path, surroundings: &Surroundings) -> Result<PathBuf> {
    build(root, &toolchain()?, surroundings)
}

fn build(root: &Path, toolchain: &Toolchain, surroundings: &Surroundings) -> Result<PathBuf> {
    eprintln!("build-filter: {}", toolchain.describe());
    let target_dir = root.join("target/filter");
    run_command(&mut toolchain.build(root, &target_dir, surroundings)?)?;
    let module = target_dir
        .join(TARGET)
        .join(PROFILE)
        .join("lazymesh_filter.wasm");
    let size = fs::metadata(&module)
        .with_context(|| format!("no module at {}", module.display()))?
        .len();
    eprintln!(
        "build-filter: {} ({:.1} KB)",
        module.display(),
        size as f64 / 1e3
    );
    Ok(module)
}

/// Writes the documents beside the module, under its name, where `lazymesh push` looks for them.
fn describe(root: &Path, module: &Path, toolchain: &Toolchain) -> Result<()> {
    let built = Built {
        task: "build-filter",
        package: PACKAGE,
        target: TARGET,
        profile: PROFILE,
        compiler: toolchain.compiler(),
        standard_library: toolchain.standard_library(),
    };
    let hash = format!("{:x}", Sha256::digest(fs::read(module)?));
    place(module, Kind::CycloneDx, Some(built.bill(root, &hash)?))?;
    let provenance = match Checkout::of(root) {
        Some(checkout) => Some(built.provenance(&checkout, "filter.wasm", &hash)?),
        None => {
            eprintln!("build-filter: no provenance, for this is not a git checkout");
            None
        }
    };
    place(module, Kind::Provenance, provenance)
}

/// Writes the document, or removes one that an earlier build has left.
fn place(module: &Path, kind: Kind, document: Option<Vec<u8>>) -> Result<()> {
    let path = module.with_extension(kind.ending());
    match document {
        Some(document) => {
            fs::write(&path, document)
                .with_context(|| format!("cannot write {}", path.display()))?;
            eprintln!("build-filter: {}", path.display());
        }
        None if path.exists() => fs::remove_file(&path)?,
        None => {}
    }
    Ok(())
}

fn toolchain() -> Result<Toolchain> {
    if compiler::has_target(TARGET) {
        return Ok(Toolchain::Installed);
    }
    debian().with_context(|| {
        format!("no compiler for {TARGET}: `rustup target add {TARGET}` failed, and Debian's rustc-web is not installed")
    })
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
    let linker = fs::read_dir("/usr/bin")
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
            Self::Debian { sources, .. } => {
                format!("with {DEBIAN_RUSTC} and std from {}", sources.display())
            }
        }
    }

    fn compiler(&self) -> &'static str {
        match self {
            Self::Installed => "rustc",
            Self::Debian { .. } => DEBIAN_RUSTC,
        }
    }

    /// Where the standard library comes from, in words that are the same on every machine.
    fn standard_library(&self) -> &'static str {
        match self {
            Self::Installed => "as distributed",
            Self::Debian { .. } => "built from source",
        }
    }

    fn build(
        &self,
        root: &Path,
        target_dir: &Path,
        surroundings: &Surroundings,
    ) -> Result<Command> {
        let Surroundings {
            compiler,
            cargo_home,
        } = surroundings;
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
        build.env("RUSTC", compiler);
        if let Self::Debian { sources, linker } = self {
            build.args(["-Z", "build-std=std,panic_abort"]);
            // Debian's compiler is a stable one; both names are what its own packages of std are built with.
            build
                .env("RUSTC_BOOTSTRAP", "1")
                .env("__CARGO_TESTS_ONLY_SRC_ROOT", sources);
            build.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        let library = match self {
            Self::Debian { sources, .. } => Some((sources.clone(), "library")),
            Self::Installed => None,
        };
        let flags = compiler::remapped_paths(root, compiler, cargo_home, library)?;
        compiler::set_flags(&mut build, &flags);
        build.env("CARGO_HOME", cargo_home);
        Ok(build)
    }
}

fn output(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}
