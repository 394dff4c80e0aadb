//! Splits a file where kubectl does: at lines of `---`, before anything is parsed.

use std::iter;

use super::{Chunk, lines};

/// The parts of a file that are not empty.
pub(super) fn chunks(text: &str) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = Some(Chunk { text, line: 0 });
    let parts = iter::from_fn(move || {
        let whole = rest?;
        let end = separator(whole.text);
        rest = end.map(|(_, next)| whole.from(next));
        Some(end.map_or(whole, |(end, _)| whole.until(end)))
    });
    parts.filter(|part| !is_empty(part.text))
}

/// Where the text ends that is before the first separator, and where the next begins. What stands behind the dashes
/// belongs to the next.
fn separator(text: &str) -> Option<(usize, usize)> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if let Some(behind) = line.strip_prefix("---") {
            let content = behind.trim_start();
            if content.is_empty() || content.starts_with('#') {
                return Some((start, start + line.len()));
            }
            if content.len() < behind.len() {
                return Some((start, start + line.len() - content.len()));
            }
        }
        start += line.len();
    }
    None
}

/// Whether there are only comments and directives.
fn is_empty(text: &str) -> bool {
    text.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with(['#', '%']) || line == "..."
    })
}

/// Where in a text a line starts with a brace, after the first.
pub(super) fn next_brace(text: &str) -> Option<usize> {
    text.find("\n{").map(|at| at + 1)
}

/// Where the first line of a chunk is that says something, from 0.
pub(super) fn first_line(chunk: &Chunk<'_>) -> u64 {
    let text = chunk.text;
    let content = text.len() - text.trim_start().len();
    chunk.line + lines(&text[..content])
}
