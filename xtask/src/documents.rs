//! What there is to say about something that was built: what went into it, and how it was built.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use lazymesh_documents::{Build, Cargo, cyclonedx, provenance};

use crate::command::{cargo, output};
use crate::git::Checkout;

/// What cargo built, and with what.
pub(crate) struct Built<'a> {
    /// The task that did it.
    pub(crate) task: &'a str,
    pub(crate) package: &'a str,
    pub(crate) target: &'a str,
    pub(crate) profile: &'a str,
    pub(crate) compiler: &'a str,
    /// Where the standard library comes from, in words that are the same on every machine.
    pub(crate) standard_library: &'a str,
}

impl Built<'_> {
    /// A bill of materials of what has this SHA-256.
    ///
    /// # Errors
    /// When cargo does not say what went in.
    pub(crate) fn bill(&self, root: &Path, sha256: &str) -> Result<Vec<u8>> {
        let mut metadata = cargo(root, &["metadata", "--format-version", "1", "--locked"]);
        let metadata = output(metadata.args(["--filter-platform", self.target]))?;
        let mut tree = cargo(root, &["tree", "--locked", "--package", self.package]);
        tree.args(["--target", self.target, "--edges", "normal,no-proc-macro"]);
        let tree = output(tree.args(["--prefix", "none", "--format", "{p}"]))?;
        let cargo = Cargo {
            package: self.package,
            metadata: &metadata,
            tree: &String::from_utf8_lossy(&tree),
        };
        Ok(cyclonedx(&cargo, sha256)?)
    }

    /// A statement of how `name` was built, which has this SHA-256.
    ///
    /// # Errors
    /// When the compiler does not say what it is, or the checkout is odd.
    pub(crate) fn provenance(
        &self,
        checkout: &Checkout,
        name: &str,
        sha256: &str,
    ) -> Result<Vec<u8>> {
        let version = output(Command::new(self.compiler).arg("--version"))?;
        let version = String::from_utf8_lossy(&version);
        let parameters = [
            ("compiler", version.trim()),
            ("profile", self.profile),
            ("standardLibrary", self.standard_library),
            ("target", self.target),
        ];
        let build = Build {
            source: checkout.source.clone(),
            revision: checkout.revision.clone(),
            modified: checkout.modified,
            parameters: parameters
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            builder: self.builder(),
        };
        Ok(provenance(name, sha256, &build)?)
    }

    /// Who builds, as far as it can be known: the task, on a machine that vouches for nothing.
    fn builder(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        format!("https://lazymesh.io/{}/v{version}", self.task)
    }
}
