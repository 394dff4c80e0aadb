//! Says in own words what is wrong with YAML. A parser's words are about its insides.

use libyaml_safer::{Error, ErrorKind};

/// What a reader of the file can do about an error.
pub(super) fn explain(error: &Error) -> String {
    let column = error.problem_mark().map_or(0, |mark| mark.column) + 1;
    let what = match (error.kind(), error.problem()) {
        (ErrorKind::Reader, _) => return "a character that no YAML may have".to_owned(),
        (_, "mapping values are not allowed in this context") => {
            "a colon where no key can be; text with a colon and a space in it needs quotes"
        }
        (_, "found character that cannot start any token") => {
            "a character that no value can start with, as a tab, @ or `; it needs quotes"
        }
        (_, "found unexpected end of stream") => "a quote that is never closed",
        (_, "found unknown escape character") => {
            "a backslash in double quotes that escapes nothing"
        }
        (_, "did not find expected ',' or '}'" | "did not find expected ',' or ']'") => {
            "a brace or bracket that is not closed"
        }
        (_, "did not find expected node content") => {
            "a value that is missing, or a brace or bracket that is not closed"
        }
        (_, "did not find expected key" | "did not find expected '-' indicator") => {
            "the indentation does not fit the lines above"
        }
        (_, "could not find expected ':'") => "neither a key with a colon nor part of a value",
        _ => "no YAML",
    };
    format!("column {column}: {what}")
}

/// What is said instead where a chart's template stands among manifests.
pub(crate) const TEMPLATE: &str =
    "expected a manifest, got a Helm template; write what `helm template` renders";

/// Whether a text has actions of Go templates.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{")
}
