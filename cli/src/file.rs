//! Reads files that arguments name, up to a bound: a device, or the wrong file, must not fill the memory.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, ensure};

/// Largest key, certificate or token, in bytes.
const MOST_TEXT: u64 = 1 << 20;

/// The bytes of the file that `argument` names, of which there may be `most`.
pub(crate) fn read(argument: &str, path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let shown = || format!("{argument} {}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(shown)?;
    let mut file = file.take(most + 1);
    file.read_to_end(&mut bytes).with_context(shown)?;
    let size = bytes.len() as u64;
    ensure!(
        size <= most,
        "{}: expected at most {most} bytes, got more",
        shown()
    );
    Ok(bytes)
}

/// The text of a key, certificate or token that `argument` names.
pub(crate) fn read_text(argument: &str, path: &Path) -> anyhow::Result<String> {
    let bytes = read(argument, path, MOST_TEXT)?;
    String::from_utf8(bytes)
        .with_context(|| format!("{argument} {}: expected UTF-8", path.display()))
}
