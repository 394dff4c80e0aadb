//! Which form the records have. Older forms are brought up to date when a store is opened.
//!
//! Version 0 is the form of development builds: the records of version 1 without the version's key, so all
//! that it takes is the key.

use std::path::Path;

use super::StoreError;
use super::record::SCHEMA_KEY;
use super::sled::{engine_error, sync};

/// The version that this build writes.
pub(super) const CURRENT: u32 = 1;

/// Brings the store to [`CURRENT`], durably, or refuses it.
pub(super) fn bring_up_to_date(
    db: &sled::Db,
    file: &std::fs::File,
    dir: &Path,
) -> Result<(), StoreError> {
    match read(db, dir)? {
        CURRENT => Ok(()),
        found if found > CURRENT => Err(StoreError::Newer {
            dir: dir.to_owned(),
            found,
            supported: CURRENT,
        }),
        _ => {
            db.insert(SCHEMA_KEY, CURRENT.to_string().as_bytes())
                .map_err(|error| engine_error(dir, error))?;
            sync(db, file)
        }
    }
}

fn read(db: &sled::Db, dir: &Path) -> Result<u32, StoreError> {
    let Some(raw) = db
        .get(SCHEMA_KEY)
        .map_err(|error| engine_error(dir, error))?
    else {
        return Ok(0);
    };
    std::str::from_utf8(&raw)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| StoreError::Damaged {
            dir: dir.to_owned(),
            reason: format!(
                "schema version {:?} is no number",
                raw.escape_ascii().to_string()
            ),
        })
}
