//! A bill of materials in CycloneDX 1.6: what cargo says went into one package.
//!
//! Only what is linked: neither what tests, build scripts and macros use, nor the rest of the workspace. Licences and edges
//! are in `cargo metadata`, but that turns on every feature which anybody in the workspace wants; `cargo tree` knows
//! what is built for this package alone. The standard library is not in it: the compiler is named by the provenance.
//!
//! It names crates by name and version, never by a path on the machine that built them, and holds no
//! time and no serial number, so the same sources give the same document.

use serde::Serialize;

use crate::cargo::{Cargo, Graph, Package};
use crate::{DocumentError, text};

/// The bill of materials of the module that a package was built to; `sha256` is its hash in hex.
///
/// # Errors
/// When cargo's output is something else, or has no such package.
pub fn cyclonedx(cargo: &Cargo<'_>, sha256: &str) -> Result<Vec<u8>, DocumentError> {
    let metadata = cargo.metadata()?;
    let graph = Graph::new(&metadata, cargo.tree)?;
    let mut bill = bill(&graph, graph.package(cargo.package)?);
    bill.metadata.component.hashes.push(Hash {
        alg: "SHA-256",
        content: sha256,
    });
    text("bill of materials", &bill)
}

fn bill<'a>(graph: &Graph<'a>, root: &'a Package) -> Bill<'a> {
    let needed = graph.needed_by(root);
    let edges = std::iter::once(root)
        .chain(needed.iter().copied())
        .map(|package| {
            let mut on: Vec<_> = graph.dependencies_of(package).map(reference).collect();
            on.sort();
            on.dedup();
            Edge {
                reference: reference(package),
                depends_on: on,
            }
        });
    Bill {
        format: "CycloneDX",
        spec_version: "1.6",
        version: 1,
        metadata: About {
            component: component(root, "application"),
        },
        dependencies: edges.collect(),
        components: needed
            .into_iter()
            .map(|package| component(package, "library"))
            .collect(),
    }
}
fn reference(package: &Package) -> String {
    format!(
        "pkg:cargo/{}@{}",
        package.name,
        package.version.replace('+', "%2B")
    )
}

fn component<'a>(package: &'a Package, kind: &'static str) -> Component<'a> {
    let purl = reference(package);
    let licenses = package.license.iter().map(|expression| License {
        expression: spdx(expression),
    });
    Component {
        kind,
        reference: purl.clone(),
        name: &package.name,
        version: &package.version,
        hashes: Vec::new(),
        licenses: licenses.collect(),
        purl,
    }
}

/// Old crates write `MIT/Apache-2.0`, which is not an SPDX expression.
fn spdx(license: &str) -> String {
    license.replace('/', " OR ")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bill<'a> {
    #[serde(rename = "bomFormat")]
    format: &'static str,
    spec_version: &'static str,
    version: u32,
    metadata: About<'a>,
    components: Vec<Component<'a>>,
    dependencies: Vec<Edge>,
}

#[derive(Serialize)]
struct About<'a> {
    component: Component<'a>,
}

#[derive(Serialize)]
struct Component<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref")]
    reference: String,
    name: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<License>,
    purl: String,
}

#[derive(Serialize)]
struct Hash<'a> {
    alg: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct License {
    expression: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Edge {
    #[serde(rename = "ref")]
    reference: String,
    depends_on: Vec<String>,
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    const METADATA: &str = r#"{
        "packages": [
            {"id":"path+file:///home/me/filter#0.1.0","name":"filter","version":"0.1.0","license":null,"source":null},
            {"id":"b","name":"bytes","version":"1.0.0","license":"MIT/Apache-2.0","source":"registry"},
            {"id":"a","name":"ahash","version":"0.8.0","license":"MIT","source":"registry"},
            {"id":"u","name":"unlinked","version":"1.0.0","license":"MIT","source":"registry"},
            {"id":"t","name":"testing","version":"1.0.0","license":"MIT","source":"registry"}
        ],
        "resolve": {"nodes": [
            {"id":"path+file:///home/me/filter#0.1.0","deps":[
                {"pkg":"b","dep_kinds":[{"kind":null}]},
                {"pkg":"u","dep_kinds":[{"kind":null}]},
                {"pkg":"t","dep_kinds":[{"kind":"dev"}]}]},
            {"id":"b","deps":[{"pkg":"a","dep_kinds":[{"kind":"build"},{"kind":null}]}]},
            {"id":"a","deps":[{"pkg":"b","dep_kinds":[{"kind":null}]}]},
            {"id":"u","deps":[]},
            {"id":"t","deps":[]}
        ]}
    }"#;

    const TREE: &str = "filter v0.1.0 (/home/me/filter)\nbytes v1.0.0\nahash v0.8.0\ntesting v1.0.0\nbytes v1.0.0 (*)\n";

    fn document(metadata: &str, tree: &str, package: &str) -> Result<Vec<u8>, DocumentError> {
        let cargo = Cargo {
            package,
            metadata: metadata.as_bytes(),
            tree,
        };
        cyclonedx(&cargo, "ab12")
    }

    #[test]
    fn what_went_in() {
        let document = document(METADATA, TREE, "filter").expect("a bill");
        let read = crate::read(&document).expect("readable");
        assert_eq!(
            (read.kind, read.subjects),
            (Kind::CycloneDx, vec!["ab12".to_owned()])
        );
        let text = std::str::from_utf8(&document).expect("text");
        let bill: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let names: Vec<_> = bill["components"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|c| c["purl"].clone())
            .collect();
        assert_eq!(names, ["pkg:cargo/ahash@0.8.0", "pkg:cargo/bytes@1.0.0"]);
        assert_eq!(
            bill["components"][1]["licenses"][0]["expression"],
            "MIT OR Apache-2.0"
        );
        assert_eq!(
            bill["dependencies"][0]["dependsOn"][0],
            "pkg:cargo/bytes@1.0.0"
        );
        assert!(!text.contains("/home/me"), "{text}");
    }

    #[test]
    fn what_is_no_metadata() {
        for (metadata, package) in [
            ("", "filter"),
            ("{}", "filter"),
            (METADATA, "bytes"),
            (METADATA, "other"),
        ] {
            assert!(document(metadata, TREE, package).is_err());
        }
        assert!(document(METADATA, "", "filter").is_err());
    }
}
