//! Copies what was synced to the shadow.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use crate::layout;

/// The file or directory was synced; not what is below it.
pub(crate) fn synced(path: &Path, shadow: &Path) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    let identity = layout::identity(&metadata)?;
    let (target, bytes) = if metadata.is_dir() {
        (layout::names(shadow, &identity), list(path)?.into_bytes())
    } else {
        (layout::content(shadow, &identity), fs::read(path)?)
    };
    // The process may be killed in the middle of this: what the shadow has must stay whole.
    let unfinished = target.with_extension("unfinished");
    fs::write(&unfinished, bytes)?;
    fs::rename(&unfinished, &target)
}

/// The names in a directory, in the shadow's form.
pub(crate) fn list(dir: &Path) -> io::Result<String> {
    let mut lines = String::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        let kind = if metadata.is_dir() { 'd' } else { 'f' };
        let name = entry.file_name().into_string().map_err(|name| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}", name.display()))
        })?;
        writeln!(lines, "{}\t{kind}\t{name}", layout::identity(&metadata)?)
            .map_err(io::Error::other)?;
    }
    Ok(lines)
}
