//! Documents about a module: what went into it, and how it was built.
//!
//! They are made and read here without any I/O, apart from `lazymesh-oci`, so that the tool that builds a module can
//! describe it without a registry client in it. A document names its module by the SHA-256 of its bytes, so that it
//! cannot be passed off as being about another one.

mod cargo;
mod cyclonedx;
mod provenance;
mod reading;
mod spdx;

pub use cargo::Cargo;
pub use cyclonedx::cyclonedx;
pub use provenance::{Build, provenance};
pub use reading::{Kind, Reading, read};

/// Why a document cannot be made or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// Something that is not JSON of the expected shape.
    #[error("{what} cannot be understood: {reason}")]
    Malformed {
        /// Which document.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// JSON of no kind that is known here.
    #[error(
        "neither CycloneDX (`bomFormat`), SPDX 2 (`spdxVersion`) nor an in-toto statement of SLSA provenance"
    )]
    UnknownKind,
    /// A package that cargo does not know, or that is not of this workspace.
    #[error("cargo knows no package {0} of the workspace")]
    NoPackage(String),
    /// A revision that is none.
    #[error("the revision must be a full commit hash")]
    NoCommit,
}

impl DocumentError {
    pub(crate) fn malformed(what: &'static str, reason: impl ToString) -> Self {
        Self::Malformed {
            what,
            reason: reason.to_string(),
        }
    }
}

/// A bill or statement, indented and with a newline at its end: people read these files too.
pub(crate) fn text(
    what: &'static str,
    document: &impl serde::Serialize,
) -> Result<Vec<u8>, DocumentError> {
    let mut bytes =
        serde_json::to_vec_pretty(document).map_err(|e| DocumentError::malformed(what, e))?;
    bytes.push(b'\n');
    Ok(bytes)
}
