//! What there is to say about the module: what went into it, and how it was built. Both lie beside it, under its name,
//! where `lazymesh push` looks for them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use lazymesh_documents::{Build, Cargo, Kind, cyclonedx, provenance};
use sha2::{Digest, Sha256};

use super::{PACKAGE, PROFILE, TARGET, Toolchain};
use crate::command::{cargo, output};
use crate::git::Checkout;

/// Who builds, as far as it can be known: this task, on a machine that vouches for nothing.
const BUILDER: &str = concat!(
    "https://lazymesh.io/build-filter/v",
    env!("CARGO_PKG_VERSION")
);

pub(super) fn write(root: &Path, module: &Path, toolchain: &Toolchain) -> Result<()> {
    let hash = Sha256::digest(fs::read(module)?);
    let hash = format!("{hash:x}");
    place(module, Kind::CycloneDx, Some(bill(root, &hash)?))?;
    let provenance = match Checkout::of(root) {
        Some(checkout) => Some(statement(checkout, &hash, toolchain)?),
        None => {
            println!("build-filter: no provenance, for this is no git checkout");
            None
        }
    };
    place(module, Kind::Provenance, provenance)
}

fn bill(root: &Path, hash: &str) -> Result<Vec<u8>> {
    let mut metadata = cargo(root, &["metadata", "--format-version", "1", "--locked"]);
    let metadata = output(metadata.args(["--filter-platform", TARGET]))?;
    let mut tree = cargo(root, &["tree", "--locked", "--package", PACKAGE]);
    tree.args(["--target", TARGET, "--edges", "normal,no-proc-macro"]);
    let tree = output(tree.args(["--prefix", "none", "--format", "{p}"]))?;
    let cargo = Cargo {
        package: PACKAGE,
        metadata: &metadata,
        tree: &String::from_utf8_lossy(&tree),
    };
    Ok(cyclonedx(&cargo, hash)?)
}

fn statement(checkout: Checkout, hash: &str, toolchain: &Toolchain) -> Result<Vec<u8>> {
    let version = output(Command::new(toolchain.compiler()).arg("--version"))?;
    let parameters = [
        (
            "compiler",
            String::from_utf8_lossy(&version).trim().to_owned(),
        ),
        ("profile", PROFILE.to_owned()),
        ("standardLibrary", toolchain.standard_library().to_owned()),
        ("target", TARGET.to_owned()),
    ];
    let build = Build {
        source: checkout.source,
        revision: checkout.revision,
        modified: checkout.modified,
        parameters: parameters
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        builder: BUILDER.to_owned(),
    };
    Ok(provenance("filter.wasm", hash, &build)?)
}

/// Writes the document, or removes one that an earlier build has left.
fn place(module: &Path, kind: Kind, document: Option<Vec<u8>>) -> Result<()> {
    let path = module.with_extension(kind.ending());
    match document {
        Some(document) => {
            fs::write(&path, document)
                .with_context(|| format!("cannot write {}", path.display()))?;
            println!("build-filter: {}", path.display());
        }
        None if path.exists() => fs::remove_file(&path)?,
        None => {}
    }
    Ok(())
}
