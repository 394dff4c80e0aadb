//! Reading documents that anybody may have written: which kind, and about which files.

use lazymesh_core::{fit, fit_json};
use serde::Deserialize;
use serde_json::Value;

use crate::{DocumentError, provenance, spdx};

/// The kinds of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bill of materials in CycloneDX, JSON.
    CycloneDx,
    /// Bill of materials in SPDX 2, JSON.
    Spdx,
    /// How it was built: an in-toto statement with a SLSA predicate, not signed by itself.
    Provenance,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::CycloneDx, Self::Spdx, Self::Provenance];

    /// How the name of a file of this kind ends, after the name of the module.
    pub fn ending(self) -> &'static str {
        match self {
            Self::CycloneDx => "cdx.json",
            Self::Spdx => "spdx.json",
            Self::Provenance => "provenance.json",
        }
    }

    /// The media type of such a document.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::CycloneDx => "application/vnd.cyclonedx+json",
            Self::Spdx => "application/spdx+json",
            Self::Provenance => "application/vnd.in-toto+json",
        }
    }

    /// Whether it says what a module consists of.
    pub fn is_bill_of_materials(self) -> bool {
        self != Self::Provenance
    }
}

/// What a document says that can be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Which kind it is.
    pub kind: Kind,
    /// SHA-256 of the files it is about, in lower-case hex.
    pub subjects: Vec<String>,
    /// Address of the sources, if it tells.
    pub source: Option<String>,
    /// Commit of the sources, if it tells and the module was built from nothing but that.
    pub revision: Option<String>,
}

/// Reads a document.
///
/// # Errors
/// When it is of no known kind, or not what its kind demands.
pub fn read(document: &[u8]) -> Result<Reading, DocumentError> {
    let value: Value = fit_json(document).map_err(|e| DocumentError::malformed("document", e))?;
    if value.get("bomFormat").is_some() {
        cyclonedx(&value)
    } else if value.get("spdxVersion").is_some() {
        spdx::read(&value)
    } else if value.get("_type").is_some() {
        provenance::read(&value)
    } else {
        Err(DocumentError::UnknownKind)
    }
}

impl Reading {
    pub(crate) fn of(kind: Kind, subjects: Vec<String>) -> Self {
        Self {
            kind,
            subjects: subjects
                .iter()
                .map(|hex| hex.to_ascii_lowercase())
                .collect(),
            source: None,
            revision: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bill {
    bom_format: String,
    spec_version: String,
    metadata: Option<About>,
    #[serde(default, rename = "components")]
    _components: Vec<Component>,
}

#[derive(Deserialize)]
struct About {
    component: Option<Component>,
}

#[derive(Deserialize)]
struct Component {
    // Of no use here, but a list of something else than components is refused by it.
    #[serde(rename = "name")]
    _name: String,
    #[serde(default)]
    hashes: Vec<Hash>,
}

#[derive(Deserialize)]
struct Hash {
    alg: String,
    content: String,
}

fn cyclonedx(document: &Value) -> Result<Reading, DocumentError> {
    const WHAT: &str = "CycloneDX document";
    let bill: Bill = fit(document).map_err(|e| DocumentError::malformed(WHAT, e))?;
    if bill.bom_format != "CycloneDX" || !bill.spec_version.starts_with("1.") {
        let reason = format!("{} {} is not known", bill.bom_format, bill.spec_version);
        return Err(DocumentError::malformed(WHAT, reason));
    }
    // What the bill is of, not what is in it.
    let about = bill.metadata.and_then(|metadata| metadata.component);
    let hashes = about.into_iter().flat_map(|component| component.hashes);
    let sha256 = hashes.filter(|hash| hash.alg == "SHA-256");
    Ok(Reading::of(
        Kind::CycloneDx,
        sha256.map(|hash| hash.content).collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(document: &str, expect: Result<(Kind, &[&str]), &str>) {
        match (read(document.as_bytes()), expect) {
            (Ok(reading), Ok((kind, subjects))) => {
                assert_eq!(
                    (reading.kind, reading.subjects),
                    (kind, subjects.iter().map(ToString::to_string).collect())
                );
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, _) => panic!("{document}: {found:?}"),
        }
    }

    #[test]
    fn cyclonedx_documents() {
        let bill = |rest: &str| format!(r#"{{"bomFormat":"CycloneDX","specVersion":"1.6"{rest}}}"#);
        let hashes =
            r#""hashes":[{"alg":"SHA-1","content":"00"},{"alg":"SHA-256","content":"AB12"}]"#;
        check(&bill(""), Ok((Kind::CycloneDx, &[])));
        check(
            &bill(&format!(
                r#","metadata":{{"component":{{"name":"filter",{hashes}}}}}"#
            )),
            Ok((Kind::CycloneDx, &["ab12"])),
        );
        // A part of something is not that something.
        check(
            &bill(&format!(r#","components":[{{"name":"filter",{hashes}}}]"#)),
            Ok((Kind::CycloneDx, &[])),
        );
        check(
            &bill(r#","components":"all""#),
            Err("CycloneDX document cannot be understood"),
        );
        check(
            &bill(r#","components":[{}]"#),
            Err("components[0].name: expected a value, got none"),
        );
        check(
            r#"{"bomFormat":"CycloneDX","specVersion":"9.0"}"#,
            Err("9.0 is not known"),
        );
        check(
            r#"{"bomFormat":"other","specVersion":"1.6"}"#,
            Err("is not known"),
        );
        check(
            r#"{"bomFormat":"CycloneDX"}"#,
            Err("specVersion: expected a value, got none"),
        );
    }

    #[test]
    fn what_is_none() {
        check("", Err("cannot be understood"));
        check("[]", Err("neither CycloneDX"));
        check("{}", Err("neither CycloneDX"));
        check(
            &"[".repeat(100_000),
            Err("a syntax error at line 1, column 128"),
        );
    }
}
