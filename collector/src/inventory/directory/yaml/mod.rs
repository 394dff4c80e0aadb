//! Reads YAML and JSON as kubectl does, as hostile input: whoever can write to the directory must not be able to
//! take the collector down with a small file.

mod compose;
mod explain;
mod json;
mod scalar;
mod split;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub(crate) use self::explain::TEMPLATE;

/// One document of a file.
#[derive(Debug, PartialEq)]
pub(crate) struct Document {
    /// From 1, counting only documents that are not empty.
    pub(crate) number: usize,
    /// Where it starts, from 1.
    pub(crate) line: u64,
    pub(crate) value: Value,
    /// Whether something in it looks like a Helm template. In annotations that may be meant so.
    pub(crate) is_template: bool,
}

/// Where in a file the syntax is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) document: usize,
    pub(crate) line: u64,
    pub(crate) reason: String,
}

/// All documents of a file of YAML or JSON. What is wrong with one is no matter of the others.
pub(crate) fn documents(text: &str) -> Vec<Result<Document, SyntaxError>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    for chunk in split::chunks(text) {
        let found = match chunk.is_json() {
            true => json::values(&chunk),
            false => compose::values(&chunk),
        };
        let is_template = explain::is_template(chunk.text);
        for found in found {
            documents.push(found.into_document(documents.len() + 1, is_template));
        }
    }
    documents
}

/// A part of a file, with the line of the file, from 0, that it starts on.
#[derive(Clone, Copy, Debug)]
struct Chunk<'a> {
    text: &'a str,
    line: u64,
}

impl<'a> Chunk<'a> {
    /// As kubectl guesses.
    fn is_json(&self) -> bool {
        self.text.trim_start().starts_with('{')
    }

    /// What it has from a byte on.
    fn from(&self, offset: usize) -> Self {
        let (before, text) = self.text.split_at(offset);
        Self {
            text,
            line: self.line + lines(before),
        }
    }

    fn until(&self, offset: usize) -> Chunk<'a> {
        Chunk {
            text: &self.text[..offset],
            line: self.line,
        }
    }
}

fn lines(text: &str) -> u64 {
    text.bytes().filter(|byte| *byte == b'\n').count() as u64
}

/// What is at a line of a file, from 0.
#[derive(Debug)]
struct Found {
    line: u64,
    value: Result<Value, String>,
}

impl Found {
    fn into_document(self, document: usize, is_template: bool) -> Result<Document, SyntaxError> {
        let line = self.line + 1;
        match self.value {
            Ok(value) => Ok(Document {
                number: document,
                line,
                value,
                is_template,
            }),
            Err(reason) => Err(SyntaxError {
                document,
                line,
                reason,
            }),
        }
    }
}
