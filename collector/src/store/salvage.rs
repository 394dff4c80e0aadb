//! Goes on after damage: keeps the store as it is, and makes a new one of what can be read.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::StoreError;
use super::checked::{unwrap, wrap};
use super::engine::{Engine, engine_error, lock};
use super::seal::Seal;
use super::{keys, record, usage};
use crate::runtime::fsync;

/// Puts a store that can be read in the place of a damaged one, which stays as `damaged-<time>`.
pub(super) fn salvage(dir: &Path, damage: &StoreError) -> Result<(), StoreError> {
    let _lock = lock(dir)?;
    let kept = keep(dir)?;
    let (home, fresh) = (dir.join("sled"), dir.join("sled.new"));
    remove(&fresh)?;
    let is_checked = Seal::open(dir).map_err(StoreError::io(dir))?.1.is_some();
    let (from, to) = (home.clone(), fresh.clone());
    // sled may end it, even by a panic. What was read before that counts.
    let reading = thread::spawn(move || transfer(&from, &to, is_checked));
    let ended = reading.join().is_ok_and(|result| result.is_ok());
    let records = Engine::open(&fresh)?.db.len();
    fsync::sync_tree(&fresh).map_err(StoreError::io(&fresh))?;
    remove(&home)?;
    // What it would be compared with is of the store that is no more.
    let seal = dir.join("seal");
    if seal.exists() {
        fs::remove_file(&seal).map_err(StoreError::io(&seal))?;
    }
    fs::rename(&fresh, &home).map_err(StoreError::io(&home))?;
    if usage::check(dir).is_err() {
        let usage = usage::path(dir);
        fs::remove_file(&usage).map_err(StoreError::io(&usage))?;
    }
    fsync::sync_dir(dir).map_err(StoreError::io(dir))?;
    tracing::warn!(%damage, records, ended, kept = %kept.display(), "damage was accepted; what is missing is learned again");
    Ok(())
}

/// Copies everything that matters, durably.
fn keep(dir: &Path) -> Result<PathBuf, StoreError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let kept = dir.join(format!(
        "damaged-{}",
        now.unwrap_or(Duration::ZERO).as_millis()
    ));
    let copy = || {
        fs::create_dir(&kept)?;
        let (home, seal, usage) = (dir.join("sled"), dir.join("seal"), usage::path(dir));
        if home.exists() {
            copy_tree(&home, &kept.join("sled"))?;
        }
        for (from, name) in [(&seal, "seal"), (&usage, "usage")] {
            if from.exists() {
                fs::copy(from, kept.join(name))?;
            }
        }
        fsync::sync_tree(&kept)?;
        fsync::sync_dir(dir)
    };
    copy().map_err(StoreError::io(&kept))?;
    Ok(kept)
}

pub(super) fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// Writes every record that is as it was written into a new store, which knows no version: the next start gives it one.
fn transfer(from: &Path, to: &Path, is_checked: bool) -> Result<(), StoreError> {
    let (new, old) = (Engine::open(to)?, Engine::open(from)?);
    for entry in old.db.iter() {
        let Ok((key, value)) = entry else { continue };
        let body = match unwrap(&key, &value) {
            Ok(body) => body,
            Err(_) if is_checked => continue,
            Err(_) => &value,
        };
        if keys::is_record(&key) && record::check(&key, body).is_ok() {
            let put = new.db.insert(&key, wrap(&key, body));
            put.map_err(|error| engine_error(to, error))?;
        }
    }
    new.sync()
}

fn remove(tree: &Path) -> Result<(), StoreError> {
    match tree.exists() {
        true => fs::remove_dir_all(tree).map_err(StoreError::io(tree)),
        false => Ok(()),
    }
}
