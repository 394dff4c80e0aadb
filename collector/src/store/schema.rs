//! Which form the records have. Older forms are brought up to date when a store is opened.
//!
//! | version | |
//! |---|---|
//! | 0 | of development builds: as 1, without the version's key |
//! | 1 | records without checksums, no ledger, no seal |
//! | 2 | [`record`] |

use std::path::Path;

use super::StoreError;
use super::audit::Audit;
use super::checked::{unwrap, wrap};
use super::engine::{Engine, engine_error};
use super::keys::{self, SCHEMA_KEY};
use super::ledger::Ledger;
use super::record;

/// The version that this build writes.
pub(super) const CURRENT: u32 = 2;
/// Generation of a store that has just been made, or brought up to date.
pub(super) const FIRST_GENERATION: u64 = 1;

/// Brings the store to [`CURRENT`], durably, or refuses it. `is_unsealed`: no commit of version 2 was ever made, so a store that
/// does not know its version may be an older one.
pub(super) fn bring_up_to_date(
    engine: &Engine,
    dir: &Path,
    is_unsealed: bool,
) -> Result<(), StoreError> {
    match read(engine, dir)? {
        Some(CURRENT) => Ok(()),
        Some(found) if found > CURRENT => Err(StoreError::Newer {
            dir: dir.to_owned(),
            found,
            supported: CURRENT,
        }),
        None | Some(_) if is_unsealed => add_checksums(engine, dir),
        None | Some(_) => Err(StoreError::damaged(
            dir,
            "its version is missing".to_owned(),
        )),
    }
}

/// Whether the store holds what was written.
pub(super) fn audit(engine: &Engine, dir: &Path) -> Result<Ledger, StoreError> {
    let mut audit = Audit::default();
    for entry in engine.db.iter() {
        let (key, value) = entry.map_err(|error| engine_error(dir, error))?;
        if key != SCHEMA_KEY {
            audit.take(&key, &value);
        }
    }
    audit
        .close()
        .map_err(|faults| StoreError::damaged(dir, told(&faults)))
}

/// The first of many faults, with how many there are.
fn told(faults: &[String]) -> String {
    match faults {
        [first] => first.clone(),
        [first, rest @ ..] => format!("{first}, and {} more", rest.len()),
        [] => String::new(),
    }
}

/// From version 1. The version comes last: a start that was cut short is started again, and finds some records done.
fn add_checksums(engine: &Engine, dir: &Path) -> Result<(), StoreError> {
    let mut ledger = Ledger::new(FIRST_GENERATION);
    let mut keys = Vec::new();
    for entry in engine.db.iter() {
        let (key, value) = entry.map_err(|error| engine_error(dir, error))?;
        if !keys::is_record(&key) {
            continue;
        }
        let body = unwrap(&key, &value).unwrap_or(&value);
        record::check(&key, body).map_err(|reason| {
            StoreError::damaged(dir, format!("{}: {reason}", key.escape_ascii()))
        })?;
        let value = wrap(&key, body);
        ledger.change(&key, None, Some(&value));
        put(engine, dir, &key, &value)?;
        keys.push(key);
    }
    for (key, value) in ledger.entries(keys.iter().map(AsRef::as_ref)) {
        put(engine, dir, &key, &value.unwrap_or_default())?;
    }
    engine.sync()?;
    put(engine, dir, SCHEMA_KEY, CURRENT.to_string().as_bytes())?;
    engine.sync()
}

fn put(engine: &Engine, dir: &Path, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    let put = engine.db.insert(key, value);
    put.map(drop).map_err(|error| engine_error(dir, error))
}

fn read(engine: &Engine, dir: &Path) -> Result<Option<u32>, StoreError> {
    let raw = engine
        .db
        .get(SCHEMA_KEY)
        .map_err(|error| engine_error(dir, error))?;
    let Some(raw) = raw else {
        return Ok(None);
    };
    let digits = std::str::from_utf8(&raw).ok();
    let version = digits.and_then(|digits| digits.parse().ok());
    version.map(Some).ok_or_else(|| {
        let shown = raw.escape_ascii();
        StoreError::damaged(
            dir,
            format!("expected a number as schema version, got {shown:?}"),
        )
    })
}
