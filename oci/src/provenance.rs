//! A statement of how the module was built: in-toto, with a SLSA 1.0 predicate.
//!
//! It is what the builder says about itself. Without a signature over it by a builder that is trusted it documents; it
//! proves nothing.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;

use crate::{Digest, Document, Error, media};

/// Names what the external parameters mean.
const BUILD_TYPE: &str = "https://lazymesh.io/build/cargo-wasm/v1";

/// How a module came to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Build {
    /// Address of the source repository.
    pub source: String,
    /// Commit that was built.
    pub revision: String,
    /// What decided the outcome besides the sources: compiler, target, profile.
    pub parameters: BTreeMap<String, String>,
    /// Who ran the build, as a URI.
    pub builder: String,
}

/// The statement that `build` made the module `module_digest`, called `title`.
///
/// # Errors
/// When the revision is no commit.
pub fn provenance(title: &str, module_digest: &Digest, build: &Build) -> Result<Document, Error> {
    let is_commit = matches!(build.revision.len(), 40 | 64)
        && build.revision.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_commit {
        return Err(Error::Unsuitable(
            "the revision must be a full commit hash".to_owned(),
        ));
    }
    let statement = Statement {
        kind: "https://in-toto.io/Statement/v1",
        subject: [Resource {
            name: Some(title),
            uri: None,
            digest: one("sha256", module_digest.hex()),
        }],
        predicate_type: "https://slsa.dev/provenance/v1",
        predicate: Predicate {
            build_definition: Definition {
                build_type: BUILD_TYPE,
                external_parameters: &build.parameters,
                resolved_dependencies: [Resource {
                    name: None,
                    uri: Some(format!("git+{}", build.source)),
                    digest: one("gitCommit", build.revision.clone()),
                }],
            },
            run_details: Details {
                builder: Builder { id: &build.builder },
            },
        },
    };
    let bytes = serde_json::to_vec(&statement).map_err(|e| Error::malformed("provenance", e))?;
    Ok(Document {
        media_type: media::IN_TOTO.to_owned(),
        title: format!("{title}.provenance.json"),
        bytes: Bytes::from(bytes),
    })
}

fn one(algorithm: &'static str, digest: String) -> BTreeMap<&'static str, String> {
    BTreeMap::from([(algorithm, digest)])
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Statement<'a> {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: [Resource<'a>; 1],
    predicate_type: &'static str,
    predicate: Predicate<'a>,
}

#[derive(Serialize)]
struct Resource<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    digest: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Predicate<'a> {
    build_definition: Definition<'a>,
    run_details: Details<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Definition<'a> {
    build_type: &'static str,
    external_parameters: &'a BTreeMap<String, String>,
    resolved_dependencies: [Resource<'a>; 1],
}

#[derive(Serialize)]
struct Details<'a> {
    builder: Builder<'a>,
}

#[derive(Serialize)]
struct Builder<'a> {
    id: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(revision: &str) -> Build {
        Build {
            source: "https://example.com/lazymesh".to_owned(),
            revision: revision.to_owned(),
            parameters: BTreeMap::from([("profile".to_owned(), "filter".to_owned())]),
            builder: "https://example.com/builder".to_owned(),
        }
    }

    #[test]
    fn a_statement() {
        let commit = "8e758fd7a639e759e3c65d75e912778bf8f860d2";
        let document =
            provenance("filter.wasm", &Digest::of(b"x"), &build(commit)).expect("a statement");
        let statement: serde_json::Value = serde_json::from_slice(&document.bytes).expect("JSON");
        assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
        assert_eq!(
            statement["subject"][0]["digest"]["sha256"],
            Digest::of(b"x").hex()
        );
        let source = &statement["predicate"]["buildDefinition"]["resolvedDependencies"][0];
        assert_eq!(source["uri"], "git+https://example.com/lazymesh");
        assert_eq!(source["digest"]["gitCommit"], commit);
    }

    #[test]
    fn only_whole_commits() {
        for revision in [
            "",
            "main",
            "8e758fd",
            "zzzz8fd7a639e759e3c65d75e912778bf8f860d2",
        ] {
            assert!(
                provenance("filter.wasm", &Digest::of(b"x"), &build(revision)).is_err(),
                "{revision}"
            );
        }
    }
}
