//! The default store: sled 0.34, made durable, and checked against its ledger and its seal.
//!
//! sled's own `flush` ends in `sync_file_range`, which neither waits for the disk's cache nor writes the file's
//! size, so a power cut takes what it acknowledged. Each write here is therefore a batch, a flush and then
//! `fdatasync` on sled's one data file. Its background flusher is off: nobody relies on it.
//!
//! Layout of the directory: `lock`, held while the store is open, `sled/` with the engine's files, `seal`, `usage`, and a
//! `damaged-<time>/` for each time that damage was accepted. `sled/` is made complete under another name first, so a
//! power cut during the very first start leaves nothing half-made behind.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::engine::{Engine, engine_error, lock, write_error};
use super::group_commit::{Backend, GroupCommit, Visitor};
use super::keys;
use super::ledger::Ledger;
use super::record::Op;
use super::seal::{Seal, Sealed};
use super::{Change, Snapshot, Store, StoreError, salvage, schema, usage};
use crate::runtime::fsync;

/// Most groups that are written before a seal, when there is never nothing to do.
const GROUPS_PER_SEAL: u64 = 64;

/// [`Store`] on an embedded sled database.
pub struct SledStore {
    writer: GroupCommit,
    dir: PathBuf,
}

impl SledStore {
    /// Opens the store in this directory, creating both when they are missing. Blocks until all of it was checked.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another collector has it, [`StoreError::Newer`] when a later lazymesh wrote it,
    /// [`StoreError::Damaged`] when it does not hold what was written, and [`StoreError::Io`].
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let home = dir.to_owned();
        let opened = GroupCommit::start(move || SledBackend::open(&home));
        let writer = opened.map_err(|error| match error {
            StoreError::WriterDied => {
                StoreError::damaged(dir, "sled panicked over its files".to_owned())
            }
            error => error,
        })?;
        let dir = dir.to_owned();
        Ok(Self { writer, dir })
    }

    /// As [`SledStore::open`]; a store that is damaged is copied, and goes on with what can be read.
    ///
    /// # Errors
    /// As [`SledStore::open`], but for damage.
    pub fn open_accepting_damage(dir: &Path) -> Result<Self, StoreError> {
        match Self::open(dir) {
            Err(error @ StoreError::Damaged { .. }) => {
                salvage::salvage(dir, &error)?;
                Self::open(dir)
            }
            opened => opened,
        }
    }
}

#[async_trait]
impl Store for SledStore {
    async fn load(&self) -> Result<Snapshot, StoreError> {
        let (mut snapshot, dir) = (self.writer.load().await?, self.dir.clone());
        usage::aside(move || {
            snapshot.sort();
            usage::add_to(&mut snapshot, &dir)?;
            Ok(snapshot)
        })
        .await
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.writer.commit(&changes).await
    }

    async fn write_usage(&self, uses: BoxStream<'_, Snapshot>) -> Result<(), StoreError> {
        usage::write(&self.dir, uses).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.writer.close().await
    }
}

// Fields drop in this order: the lock goes last.
struct SledBackend {
    engine: Engine,
    ledger: Ledger,
    seal: Seal,
    sealed: Option<u64>,
    dir: PathBuf,
    _lock: File,
}

impl SledBackend {
    fn open(dir: &Path) -> Result<Self, StoreError> {
        fsync::create_dir_all(dir).map_err(StoreError::io(dir))?;
        let lock = lock(dir)?;
        let home = dir.join("sled");
        let (seal, sealed) = Seal::open(dir).map_err(StoreError::io(dir))?;
        if !home.exists() {
            if sealed.is_some() {
                return Err(StoreError::damaged(
                    dir,
                    "there is a seal, but no sled".to_owned(),
                ));
            }
            create(dir, &home)?;
        }
        let engine = Engine::open(&home)?;
        schema::bring_up_to_date(&engine, dir, sealed.is_none())?;
        let ledger = schema::audit(&engine, dir)?;
        compare(&ledger, sealed).map_err(|reason| StoreError::damaged(dir, reason))?;
        usage::check(dir)?;
        let mut backend = Self {
            engine,
            ledger,
            seal,
            sealed: sealed.map(|sealed| sealed.generation),
            dir: dir.to_owned(),
            _lock: lock,
        };
        backend.idle()?;
        Ok(backend)
    }

    /// What a group changes, the account of it included.
    fn batch(&mut self, ops: Vec<Op>) -> Result<sled::Batch, StoreError> {
        let mut last = BTreeMap::new();
        for op in ops {
            match op {
                Op::Put { key, value } => last.insert(key, Some(value)),
                Op::Delete { key } => last.insert(key, None),
            };
        }
        for (key, value) in &last {
            let before = self.engine.db.get(key).map_err(write_error)?;
            self.ledger.change(key, before.as_deref(), value.as_deref());
        }
        self.ledger.generation += 1;
        let own = self.ledger.entries(last.keys().map(Vec::as_slice));
        let mut batch = sled::Batch::default();
        for (key, value) in last.into_iter().chain(own) {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        Ok(batch)
    }
}

impl Backend for SledBackend {
    fn scan(&self, visit: &mut Visitor<'_>) -> Result<(), StoreError> {
        for entry in self.engine.db.iter() {
            let (key, value) = entry.map_err(|error| engine_error(&self.dir, error))?;
            if keys::is_record(&key) {
                visit(&key, &value).map_err(|reason| {
                    StoreError::damaged(&self.dir, format!("{} {reason}", key.escape_ascii()))
                })?;
            }
        }
        Ok(())
    }

    fn write(&mut self, ops: Vec<Op>) -> Result<(), StoreError> {
        let batch = self.batch(ops)?;
        self.engine.db.apply_batch(batch).map_err(write_error)?;
        self.engine.sync()?;
        if self.ledger.generation.is_multiple_of(GROUPS_PER_SEAL) {
            self.idle()?;
        }
        self.engine.is_in_place()
    }

    /// Seals what was written. Nobody waits for it: of a store that is ended before, the ledger is right, but that its end is
    /// missing would not be found out.
    fn idle(&mut self) -> Result<(), StoreError> {
        if self.sealed == Some(self.ledger.generation) {
            return Ok(());
        }
        self.seal
            .write(Sealed::of(&self.ledger))
            .map_err(write_error)?;
        self.sealed = Some(self.ledger.generation);
        Ok(())
    }
}

/// Whether the engine has all that was sealed. It may have more: a seal comes after what it seals.
fn compare(ledger: &Ledger, sealed: Option<Sealed>) -> Result<(), String> {
    let Some(sealed) = sealed else {
        return match ledger.generation <= schema::FIRST_GENERATION {
            true => Ok(()),
            false => Err("its seal is missing".to_owned()),
        };
    };
    let (found, expected) = (ledger.generation, sealed.generation);
    if found < expected {
        return Err(format!(
            "expected the state after commit {expected}, got that after {found}"
        ));
    }
    if found == expected && ledger.total() != sealed.total {
        let (expected, found) = (sealed.total.count, ledger.total().count);
        return Err(format!(
            "expected the {expected} records that were sealed, got {found}"
        ));
    }
    Ok(())
}

/// Makes a store under another name, and puts it in place as a whole.
fn create(dir: &Path, home: &Path) -> Result<(), StoreError> {
    let unfinished = dir.join("sled.new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(StoreError::io(&unfinished))?;
    }
    let engine = Engine::open(&unfinished)?;
    schema::bring_up_to_date(&engine, dir, true)?;
    drop(engine);
    fsync::sync_tree(&unfinished).map_err(StoreError::io(&unfinished))?;
    fs::rename(&unfinished, home).map_err(StoreError::io(home))?;
    fsync::sync_dir(dir).map_err(StoreError::io(dir))
}

#[cfg(test)]
mod tests;
