//! Says in own words why a JSON document is not what it should be.
//!
//! A parser's words are about its insides, and repeat what was sent.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;
use thiserror::Error;

/// A field of a document that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Where it is, as in `spec.ports[0].port`; empty for the document itself.
    pub field: String,
    /// What is expected there, and what is there instead.
    pub detail: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => out.write_str(&self.detail),
            field => write!(out, "{field}: {}", self.detail),
        }
    }
}

impl std::error::Error for Misfit {}

/// Why bytes are not the document that they should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// They are no JSON.
    #[error("{0}")]
    Syntax(String),
    /// They are another document.
    #[error(transparent)]
    Misfit(Misfit),
}

/// Reads a document's text.
///
/// # Errors
/// Where it breaks, or the first field that is not what it should be.
pub fn fit_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, Unreadable> {
    // Only what was refused is read again: for whether it is JSON at all, then for the field.
    serde_json::from_slice(text).map_err(|_| match serde_json::from_slice::<Value>(text) {
        Err(error) => Unreadable::Syntax(syntax(&error)),
        Ok(document) => Unreadable::Misfit(match fit::<T>(&document) {
            Err(misfit) => misfit,
            // A document keeps the last of fields that have one name.
            Ok(_) => Misfit {
                field: String::new(),
                detail: "expected each field once, got one of them twice".to_owned(),
            },
        }),
    })
}

fn syntax(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        Category::Eof => "the document ends too early",
        Category::Syntax | Category::Data | Category::Io => "a syntax error",
    };
    let (line, column) = (error.line(), error.column());
    format!("{what} at line {line}, column {column}")
}

/// Reads a document.
///
/// # Errors
/// The first field that is not what it should be.
pub fn fit<T: DeserializeOwned>(document: &Value) -> Result<T, Misfit> {
    // Only what does not fit is read again, to keep track of the field.
    T::deserialize(document).or_else(|_| {
        serde_path_to_error::deserialize(document).map_err(|error| {
            let path = match error.path().iter().next() {
                Some(_) => error.path().to_string(),
                None => String::new(),
            };
            explain(path, &error.inner().to_string())
        })
    })
}

/// `said` is serde's: `invalid type: <what came>, expected <what is wanted>`, or what our own types say.
fn explain(field: String, said: &str) -> Misfit {
    let wanted = said.rsplit_once(", expected ").map(|(_, wanted)| wanted);
    if let Some(name) = between_ticks(said, "missing field ") {
        let dot = if field.is_empty() { "" } else { "." };
        return Misfit {
            field: format!("{field}{dot}{name}"),
            detail: "expected a value, got none".to_owned(),
        };
    }
    let came = ["invalid type: ", "invalid value: "];
    let came = came.iter().find_map(|start| said.strip_prefix(start));
    let detail = match (came, wanted) {
        (Some(came), Some(wanted)) => format!("expected {}, got {}", want(wanted), got(came)),
        _ if said.starts_with("unknown variant ") => {
            format!("expected {}, got another text", wanted.unwrap_or("less"))
        }
        _ if said.starts_with("invalid length ") => "expected a list of another length".to_owned(),
        _ => said.to_owned(),
    };
    Misfit { field, detail }
}

fn want(wanted: &str) -> &str {
    match wanted {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "a borrowed string" | "string or map" => "a text",
        "a sequence" => "a list",
        "a map" => "an object",
        _ if wanted.starts_with("struct ") => "an object",
        _ => "something else",
    }
}

fn got(came: &str) -> &str {
    let kind = came.split([' ', ',']).next().unwrap_or_default();
    match kind {
        // Digits, and the words `true` and `false`: nothing that could harm who reads them.
        "integer" | "floating" | "boolean" => {
            let start = came.find('`').map_or(0, |tick| tick + 1);
            came[start..].split('`').next().unwrap_or(kind)
        }
        "string" | "character" => "a text",
        "sequence" => "a list",
        "map" => "an object",
        "null" | "unit" => "null",
        _ => "something else",
    }
}

/// The name in ticks that follows `start`.
fn between_ticks<'a>(said: &'a str, start: &str) -> Option<&'a str> {
    said.strip_prefix(start)?
        .strip_prefix('`')?
        .split('`')
        .next()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::names::Workload;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        One,
        Two,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Document {
        port: u16,
        count: i64,
        share: f64,
        name: String,
        on: bool,
        list: Vec<Document>,
        labels: BTreeMap<String, String>,
        word: Option<Word>,
        source: Option<Workload>,
    }

    #[test]
    fn every_field_that_does_not_fit_is_told_in_own_words() {
        let check = |document: Value, expect: &str| {
            let misfit = fit::<Document>(&document).expect_err("must not fit");
            assert_eq!(misfit.to_string(), expect, "{document}");
        };
        check(json!(7), "expected an object, got 7");
        check(json!("a, expected b"), "expected an object, got a text");
        check(
            json!({"port": 70000}),
            "port: expected a whole number from 0 to 65535, got 70000",
        );
        check(
            json!({"port": "80"}),
            "port: expected a whole number from 0 to 65535, got a text",
        );
        check(
            json!({"port": 1.5}),
            "port: expected a whole number from 0 to 65535, got 1.5",
        );
        check(
            json!({"count": null}),
            "count: expected a whole number, got null",
        );
        check(json!({"share": []}), "share: expected a number, got a list");
        check(json!({"name": true}), "name: expected a text, got true");
        check(
            json!({"on": "yes"}),
            "on: expected true or false, got a text",
        );
        check(json!({"list": {}}), "list: expected a list, got an object");
        check(
            json!({"list": [{}, {"list": [{"name": 5}]}]}),
            "list[1].list[0].name: expected a text, got 5",
        );
        check(
            json!({"labels": {"a": {}}}),
            "labels.a: expected a text, got an object",
        );
        check(
            json!({"labels": ["a"]}),
            "labels: expected an object, got a list",
        );
        check(
            json!({"word": "three, expected \u{1b}[31m"}),
            "word: expected `one` or `two`, got another text",
        );
        check(json!({"word": 5}), "word: expected a text, got 5");
        check(
            json!({"source": {"namespace": "a"}}),
            "source.name: expected a value, got none",
        );
    }

    #[test]
    fn text_that_is_no_document_is_told_in_own_words() {
        let check = |text: &str, expect: &str| {
            let unreadable = fit_json::<Document>(text.as_bytes()).expect_err("must not fit");
            assert_eq!(unreadable.to_string(), expect, "{text}");
        };
        check("", "the document ends too early at line 1, column 0");
        check("{\n  nope", "a syntax error at line 2, column 3");
        check(&"[".repeat(1_000), "a syntax error at line 1, column 128");
        check(
            r#"{"port": 1, "port": 2}"#,
            "expected each field once, got one of them twice",
        );
        check(r#"{"list": 1}"#, "list: expected a list, got 1");
    }

    #[test]
    fn what_fits_is_read() {
        let document = json!({"port": 80, "list": [{}], "word": "two", "other": 1});
        let read: Document = fit(&document).expect("it fits");
        assert_eq!((read.port, read.list.len()), (80, 1));
    }
}
