//! SPDX 2 in JSON. SPDX 3 has another model and is not read.

use lazymesh_core::fit;
use serde::Deserialize;
use serde_json::Value;

use crate::{DocumentError, Kind, Reading};

const DOCUMENT: &str = "SPDXRef-DOCUMENT";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    spdx_version: String,
    #[serde(default)]
    document_describes: Vec<String>,
    #[serde(default)]
    relationships: Vec<Relationship>,
    #[serde(default)]
    packages: Vec<Element>,
    #[serde(default)]
    files: Vec<Element>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    related_spdx_element: String,
    relationship_type: String,
}

#[derive(Deserialize)]
struct Element {
    #[serde(rename = "SPDXID")]
    id: String,
    #[serde(default)]
    checksums: Vec<Checksum>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: String,
    checksum_value: String,
}

pub(crate) fn read(document: &Value) -> Result<Reading, DocumentError> {
    const WHAT: &str = "SPDX document";
    let document: Document = fit(document).map_err(|e| DocumentError::malformed(WHAT, e))?;
    if !document.spdx_version.starts_with("SPDX-2.") {
        let reason = format!("{} is not known", document.spdx_version);
        return Err(DocumentError::malformed(WHAT, reason));
    }
    let described = document.described();
    let elements = document.packages.iter().chain(&document.files);
    let checksums = elements
        .filter(|element| described.contains(&element.id.as_str()))
        .flat_map(|element| &element.checksums);
    let sha256 = checksums.filter(|checksum| checksum.algorithm == "SHA256");
    Ok(Reading::of(
        Kind::Spdx,
        sha256
            .map(|checksum| checksum.checksum_value.clone())
            .collect(),
    ))
}

impl Document {
    /// What the document is about, in either of the ways to say that.
    fn described(&self) -> Vec<&str> {
        let related = self.relationships.iter().filter(|relationship| {
            relationship.relationship_type == "DESCRIBES"
                && relationship.spdx_element_id == DOCUMENT
        });
        let related = related.map(|relationship| relationship.related_spdx_element.as_str());
        let listed = self.document_describes.iter().map(String::as_str);
        listed.chain(related).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGES: &str = r#""packages":[
        {"SPDXID":"SPDXRef-filter","name":"filter","checksums":[{"algorithm":"SHA256","checksumValue":"AB"},{"algorithm":"MD5","checksumValue":"00"}]},
        {"SPDXID":"SPDXRef-serde","name":"serde","checksums":[{"algorithm":"SHA256","checksumValue":"CD"}]}]"#;

    #[track_caller]
    fn check(rest: &str, expect: &[&str]) {
        let document = format!(r#"{{"spdxVersion":"SPDX-2.3",{rest}{PACKAGES}}}"#);
        let reading = read(&serde_json::from_str(&document).expect("JSON")).expect("SPDX");
        assert_eq!(reading.subjects, expect, "{rest}");
    }

    #[test]
    fn only_what_is_described() {
        check("", &[]);
        check(r#""documentDescribes":["SPDXRef-filter"],"#, &["ab"]);
        let relationship = |from: &str, kind: &str| {
            format!(
                r#""relationships":[{{"spdxElementId":"{from}","relationshipType":"{kind}","relatedSpdxElement":"SPDXRef-filter"}}],"#
            )
        };
        check(&relationship("SPDXRef-DOCUMENT", "DESCRIBES"), &["ab"]);
        check(&relationship("SPDXRef-DOCUMENT", "CONTAINS"), &[]);
        check(&relationship("SPDXRef-serde", "DESCRIBES"), &[]);
    }

    #[test]
    fn what_is_no_spdx_2() {
        for document in [
            r#"{"spdxVersion":"SPDX-3.0"}"#,
            r#"{"spdxVersion":"SPDX-2.3","packages":[{}]}"#,
        ] {
            assert!(read(&serde_json::from_str(document).expect("JSON")).is_err());
        }
    }
}
