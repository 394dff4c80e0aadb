//! YAML and JSON as hostile input: whoever can write to the directory must not be able to take the collector
//! down with a small file.

use serde_json::Value;
use serde_saphyr::{Options, Spanned};

/// One document of a file.
#[derive(Debug, PartialEq)]
pub(crate) struct Document {
    /// From 1, counting only documents that are not empty.
    pub(crate) number: usize,
    /// Where it starts, from 1.
    pub(crate) line: u64,
    pub(crate) value: Value,
}

/// Where in a file the syntax is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) document: usize,
    pub(crate) line: u64,
    pub(crate) reason: String,
}

/// All documents of a YAML file. JSON is YAML, so this reads both.
pub(crate) fn documents(text: &str) -> Result<Vec<Document>, SyntaxError> {
    let mut reader = text.as_bytes();
    let mut documents = Vec::new();
    for result in serde_saphyr::read_with_options::<_, Spanned<Value>>(&mut reader, options()) {
        let number = documents.len() + 1;
        let spanned = result.map_err(|error| SyntaxError {
            document: number,
            line: error.location().map_or(0, |location| location.line()),
            reason: error.to_string(),
        })?;
        documents.push(Document {
            number,
            line: spanned.referenced.line(),
            value: spanned.value,
        });
    }
    Ok(documents)
}

/// A file of [`super::scan::MAX_FILE_BYTES`] that is full of small manifests fits; aliases, which make small
/// files large, get little.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 4_000_000,
            max_nodes: 2_000_000,
            max_documents: 100_000,
            max_depth: 64,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_merge_keys: 1_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 8,
        },
        emit_comments: false,
        with_snippet: false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_know_their_lines() {
        let check = |text: &str, expect: &[(u64, Value)]| {
            let found: Vec<_> = documents(text)
                .unwrap()
                .into_iter()
                .map(|document| (document.line, document.value))
                .collect();
            assert_eq!(found, expect, "{text:?}");
        };
        check("", &[]);
        check("# nothing\n---\n---\n", &[]);
        check(
            "a: 1\n---\nb: x\n",
            &[(1, json!({"a": 1})), (3, json!({"b": "x"}))],
        );
        check("---\n# c\n\na: [1, 2]\n", &[(4, json!({"a": [1, 2]}))]);
        check("{\"a\": {\"b\": null}}", &[(1, json!({"a": {"b": null}}))]);
        check(
            "a: \"80\"\nb: 'on'\n",
            &[(1, json!({"a": "80", "b": "on"}))],
        );
    }

    #[test]
    fn an_error_knows_its_document_and_line() {
        let check = |text: &str, document: usize, line: u64| {
            let error = documents(text).unwrap_err();
            assert_eq!(
                (error.document, error.line),
                (document, line),
                "{}",
                error.reason
            );
        };
        check("a: [", 1, 1);
        check("a: 1\n---\nb: 1\nb: 2\n", 2, 4);
        check("a: 1\n---\nb: *nowhere\n", 2, 3);
        check("a: 1\n---\nb: 1\n c: 1\n", 2, 4);
    }

    #[test]
    fn bombs_are_refused() {
        let laughs = (1..20).fold("a0: &a0 [x, x]\n".to_owned(), |text, level| {
            let inner = format!("*a{}, ", level - 1).repeat(10);
            text + &format!("a{level}: &a{level} [{inner}]\n")
        });
        let cases = [
            laughs,
            "[".repeat(100_000),
            "{a: ".repeat(100_000),
            "- ".repeat(100_000),
            format!(
                "a: &a [{}]\nb: [{}]",
                "x, ".repeat(1_000),
                "*a, ".repeat(999)
            ),
        ];
        for text in cases {
            assert!(documents(&text).is_err(), "{text:.40}");
        }
    }
}
