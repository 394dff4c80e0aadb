//! Reads JSON values that follow each other, as `kubectl get -o json` and `jq` write them.

use serde::de::IgnoredAny;
use serde_json::{Deserializer, Value};

use super::explain::is_template;
use super::split::{first_line, next_brace};
use super::{Chunk, Found, compose};

/// Every value of a chunk that starts with a brace. What is not JSON is YAML in braces, or broken: then it ends where
/// the next line starts with a brace.
pub(super) fn values(chunk: &Chunk<'_>) -> Vec<Found> {
    if let Some(all) = strict(chunk) {
        return all;
    }
    let yaml = compose::values(chunk);
    if is_template(chunk.text) || yaml.iter().all(|found| found.value.is_ok()) {
        return yaml;
    }
    let mut found = Vec::new();
    let mut rest = *chunk;
    while !rest.text.trim().is_empty() {
        let length = match length(rest.text) {
            Some(length) => length,
            None => next_brace(rest.text).unwrap_or(rest.text.len()),
        };
        let value = rest.until(length);
        found.extend(strict(&value).unwrap_or_else(|| compose::values(&value)));
        rest = rest.from(length);
    }
    found
}

/// All values, if each is JSON.
fn strict(chunk: &Chunk<'_>) -> Option<Vec<Found>> {
    let mut found = Vec::new();
    let mut rest = *chunk;
    while !rest.text.trim().is_empty() {
        let length = length(rest.text)?;
        let line = first_line(&rest);
        let text = &rest.text[..length];
        match serde_json::from_str::<Value>(text) {
            Ok(value) => found.push(Found {
                line,
                value: Ok(value),
            }),
            // It is nested deeper than that parser goes.
            Err(_) => found.extend(compose::values(&rest.until(length))),
        }
        rest = rest.from(length);
    }
    Some(found)
}

/// The length of the first value, which may be nested at will: no stack is used for it.
fn length(text: &str) -> Option<usize> {
    let mut values = Deserializer::from_str(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    Some(values.byte_offset())
}
