//! How a shadow keeps what was synced.
//!
//! By identity and not by name: a file that was renamed or deleted without a sync of its directory is still what
//! the old name means. `content-<identity>` has the bytes of a file, `names-<identity>` the names in a directory, one
//! a line: `<identity>\t<f or d>\t<name>`.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// What a file is, whatever it is called: inodes are used again, so the time of birth belongs to it.
pub(crate) fn identity(metadata: &Metadata) -> io::Result<String> {
    let born = metadata
        .created()?
        .duration_since(UNIX_EPOCH)
        .map_err(io::Error::other)?;
    Ok(format!("{}-{}", metadata.ino(), born.as_nanos()))
}

pub(crate) fn content(shadow: &Path, identity: &str) -> PathBuf {
    shadow.join(format!("content-{identity}"))
}

pub(crate) fn names(shadow: &Path, identity: &str) -> PathBuf {
    shadow.join(format!("names-{identity}"))
}
