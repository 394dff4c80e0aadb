//! A statement of how something was built: in-toto, with a SLSA 1.0 predicate.
//!
//! It is what the builder says about itself. Without a signature over it by a builder that is trusted it documents; it
//! proves nothing.

use std::collections::BTreeMap;

use lazymesh_core::fit;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{DocumentError, Kind, Reading, text};

/// Names what the external parameters mean.
const BUILD_TYPE: &str = "https://lazymesh.io/build/cargo/v1";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// Of the sources: true if the commit alone is not what was built.
const MODIFIED: &str = "modified";

/// How something came to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Build {
    /// Address of the source repository, if it has one.
    pub source: Option<String>,
    /// Commit that was built.
    pub revision: String,
    /// Whether there were changes that are not in the commit.
    pub modified: bool,
    /// What decided the outcome besides the sources: compiler, target, profile.
    pub parameters: BTreeMap<String, String>,
    /// Who ran the build, as a URI.
    pub builder: String,
}

/// The statement that `build` made what is called `title`; `sha256` is its hash in hex.
///
/// # Errors
/// When the revision is not a commit.
pub fn provenance(title: &str, sha256: &str, build: &Build) -> Result<Vec<u8>, DocumentError> {
    let is_commit = matches!(build.revision.len(), 40 | 64)
        && build.revision.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_commit {
        return Err(DocumentError::NoCommit);
    }
    let sources = Resource {
        uri: build.source.as_ref().map(|source| format!("git+{source}")),
        digest: one("gitCommit", &build.revision),
        annotations: build
            .modified
            .then(|| BTreeMap::from([(MODIFIED.to_owned(), true.into())])),
        ..Resource::default()
    };
    let statement = Statement {
        kind: STATEMENT.to_owned(),
        subject: vec![Resource {
            name: Some(title.to_owned()),
            digest: one("sha256", sha256),
            ..Resource::default()
        }],
        predicate_type: PREDICATE.to_owned(),
        predicate: Predicate {
            build_definition: Definition {
                build_type: BUILD_TYPE.to_owned(),
                external_parameters: serde_json::json!(build.parameters),
                resolved_dependencies: vec![sources],
            },
            run_details: Details {
                builder: Builder {
                    id: build.builder.clone(),
                },
            },
        },
    };
    text("provenance", &statement)
}

pub(crate) fn read(document: &Value) -> Result<Reading, DocumentError> {
    const WHAT: &str = "in-toto statement";
    let statement: Statement = fit(document).map_err(|e| DocumentError::malformed(WHAT, e))?;
    if statement.kind != STATEMENT || statement.predicate_type != PREDICATE {
        return Err(DocumentError::UnknownKind);
    }
    let subjects = statement.subject.into_iter();
    let subjects = subjects.filter_map(|mut subject| subject.digest.remove("sha256"));
    let mut reading = Reading::of(Kind::Provenance, subjects.collect());
    let definition = statement.predicate.build_definition;
    let is_source = |resource: &Resource| resource.digest.contains_key("gitCommit");
    if let Some(mut sources) = definition.resolved_dependencies.into_iter().find(is_source) {
        let is_modified = sources
            .annotations
            .unwrap_or_default()
            .contains_key(MODIFIED);
        reading.revision = sources.digest.remove("gitCommit").filter(|_| !is_modified);
        reading.source = sources
            .uri
            .map(|uri| uri.trim_start_matches("git+").to_owned());
    }
    Ok(reading)
}

fn one(algorithm: &str, digest: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(algorithm.to_owned(), digest.to_owned())])
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Resource>,
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Default, Serialize, Deserialize)]
struct Resource {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    #[serde(default)]
    digest: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, Value>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Predicate {
    build_definition: Definition,
    run_details: Details,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
    build_type: String,
    external_parameters: Value,
    #[serde(default)]
    resolved_dependencies: Vec<Resource>,
}

#[derive(Serialize, Deserialize)]
struct Details {
    builder: Builder,
}

#[derive(Serialize, Deserialize)]
struct Builder {
    id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "8e758fd7a639e759e3c65d75e912778bf8f860d2";

    fn build(revision: &str) -> Build {
        Build {
            source: Some("https://example.com/lazymesh".to_owned()),
            revision: revision.to_owned(),
            modified: false,
            parameters: BTreeMap::from([("profile".to_owned(), "filter".to_owned())]),
            builder: "https://example.com/builder".to_owned(),
        }
    }

    fn statement(build: &Build) -> (Value, Reading) {
        let document = provenance("filter.wasm", "ab12", build).expect("a statement");
        let reading = crate::read(&document).expect("readable");
        (serde_json::from_slice(&document).expect("JSON"), reading)
    }

    #[test]
    fn a_statement() {
        let (statement, reading) = statement(&build(COMMIT));
        assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
        assert_eq!(statement["subject"][0]["digest"]["sha256"], "ab12");
        let source = &statement["predicate"]["buildDefinition"]["resolvedDependencies"][0];
        assert_eq!(source["uri"], "git+https://example.com/lazymesh");
        assert_eq!(source["digest"]["gitCommit"], COMMIT);
        let expect = Reading {
            source: Some("https://example.com/lazymesh".to_owned()),
            revision: Some(COMMIT.to_owned()),
            ..Reading::of(Kind::Provenance, vec!["ab12".to_owned()])
        };
        assert_eq!(reading, expect);
    }

    #[test]
    fn what_is_more_than_a_commit() {
        let modified = Build {
            source: None,
            modified: true,
            ..build(COMMIT)
        };
        let (statement, reading) = statement(&modified);
        let source = &statement["predicate"]["buildDefinition"]["resolvedDependencies"][0];
        assert_eq!(source["annotations"]["modified"], true);
        assert_eq!((reading.source, reading.revision), (None, None));
    }

    #[test]
    fn only_whole_commits() {
        for revision in [
            "",
            "main",
            "8e758fd",
            "zzzz8fd7a639e759e3c65d75e912778bf8f860d2",
        ] {
            let made = provenance("filter.wasm", "ab12", &build(revision));
            assert_eq!(made, Err(DocumentError::NoCommit), "{revision}");
        }
    }

    #[test]
    fn what_is_no_provenance() {
        let (good, _) = statement(&build(COMMIT));
        for (field, value) in [
            ("_type", "https://example.com/Statement"),
            ("predicateType", "https://cyclonedx.org/bom"),
            ("predicate", "none"),
            ("subject", "all"),
        ] {
            let mut bad = good.clone();
            bad[field] = value.into();
            assert!(read(&bad).is_err(), "{field}");
        }
    }
}
