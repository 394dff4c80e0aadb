//! The default store: sled 0.34, made durable.
//!
//! sled's own `flush` ends in `sync_file_range`, which neither waits for the disk's cache nor writes the file's
//! size, so a power cut takes what it acknowledged. Each write here is therefore a batch, a flush and then
//! `fdatasync` on sled's one data file. Its background flusher is off: nobody relies on it.
//!
//! Layout of the directory: `lock`, held while the store is open, and `sled/` with the engine's files. `sled/`
//! is made complete under another name first, so a power cut during the very first start leaves nothing
//! half-made behind.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::group_commit::{Backend, GroupCommit};
use super::record::Op;
use super::{Change, Snapshot, Store, StoreError, schema};
use crate::runtime::fsync;

/// Cache of pages in memory, in bytes. The store is read once, so more would be wasted.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// Size in bytes by which the data file grows, and of sled's write buffer.
const SEGMENT_BYTES: usize = 512 * 1024;
/// How long sled may take to let go of its file after a store in the same process was closed.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// [`Store`] on an embedded sled database.
pub struct SledStore {
    writer: GroupCommit,
}

impl SledStore {
    /// Opens the store in this directory, creating both when they are missing. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another collector has it, [`StoreError::Newer`] when a later lazymesh wrote it,
    /// [`StoreError::Damaged`] when sled cannot read its files, [`StoreError::WriterDied`] when sled
    /// panicked over them, and [`StoreError::Io`].
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let dir = dir.to_owned();
        let writer = GroupCommit::start(move || SledBackend::open(&dir))?;
        Ok(Self { writer })
    }
}

#[async_trait]
impl Store for SledStore {
    async fn load(&self) -> Result<Snapshot, StoreError> {
        self.writer.load().await
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.writer.commit(&changes).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.writer.close().await
    }
}

// Fields drop in this order: the lock goes last.
struct SledBackend {
    db: sled::Db,
    file: File,
    dir: PathBuf,
    _lock: File,
}

impl SledBackend {
    fn open(dir: &Path) -> Result<Self, StoreError> {
        fsync::create_dir_all(dir).map_err(StoreError::io(dir))?;
        let lock = lock(dir)?;
        let home = dir.join("sled");
        if !home.exists() {
            create(dir, &home)?;
        }
        let (db, file) = open_engine(&home)?;
        schema::bring_up_to_date(&db, &file, dir)?;
        Ok(Self {
            db,
            file,
            dir: dir.to_owned(),
            _lock: lock,
        })
    }
}

impl Backend for SledBackend {
    fn scan(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        for record in self.db.iter() {
            let (key, value) = record.map_err(|error| engine_error(&self.dir, error))?;
            visit(&key, &value);
        }
        Ok(())
    }

    fn write(&mut self, ops: Vec<Op>) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for op in ops {
            match op {
                Op::Put { key, value } => batch.insert(key, value),
                Op::Delete { key } => batch.remove(key),
            }
        }
        self.db.apply_batch(batch).map_err(write_error)?;
        sync(&self.db, &self.file)
    }
}

/// Makes everything written so far durable.
pub(super) fn sync(db: &sled::Db, file: &File) -> Result<(), StoreError> {
    db.flush().map_err(write_error)?;
    file.sync_data().map_err(write_error)
}

pub(super) fn engine_error(dir: &Path, error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(source) => StoreError::io(dir)(source),
        other => StoreError::Damaged {
            dir: dir.to_owned(),
            reason: other.to_string(),
        },
    }
}

fn write_error(error: impl std::fmt::Display) -> StoreError {
    StoreError::Write {
        reason: error.to_string(),
    }
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let file = File::create(&path).map_err(StoreError::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked {
            dir: dir.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(StoreError::io(&path)(source)),
    }
}

fn create(dir: &Path, home: &Path) -> Result<(), StoreError> {
    let unfinished = dir.join("sled.new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(StoreError::io(&unfinished))?;
    }
    let (db, file) = open_engine(&unfinished)?;
    schema::bring_up_to_date(&db, &file, dir)?;
    drop(db);
    fsync::sync_tree(&unfinished).map_err(StoreError::io(&unfinished))?;
    fs::rename(&unfinished, home).map_err(StoreError::io(home))?;
    fsync::sync_dir(dir).map_err(StoreError::io(dir))
}

fn open_engine(home: &Path) -> Result<(sled::Db, File), StoreError> {
    let data = home.join("db");
    // A collector that was killed may have left writes in the page cache only. sled would describe them in
    // a snapshot that it does sync, and after a power cut refuse a log that is shorter than its snapshot.
    if data.exists() {
        File::open(&data)
            .and_then(|file| file.sync_all())
            .map_err(StoreError::io(&data))?;
    }
    remove_unfinished_snapshots(home).map_err(StoreError::io(home))?;
    let db = open_released(home)?;
    let file = File::open(&data).map_err(StoreError::io(&data))?;
    Ok((db, file))
}

/// sled writes a snapshot of its index at each start, as `snap.<n>.generating`, and renames it when it is whole.
/// When it was ended in between, it takes that file for its newest snapshot the next time, and reports
/// corruption. The log and the snapshot before have everything.
fn remove_unfinished_snapshots(home: &Path) -> io::Result<()> {
    if !home.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(home)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b"snap.")
            && name.as_encoded_bytes().ends_with(b".generating")
        {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// sled drops its file, and with it its lock, some time after its last handle. The lock file tells that
/// nobody else is there, so waiting is right.
#[expect(
    clippy::disallowed_methods,
    reason = "this is a wait on a condition, with a deadline"
)]
fn open_released(home: &Path) -> Result<sled::Db, StoreError> {
    let config = sled::Config::new()
        .path(home)
        .cache_capacity(CACHE_BYTES)
        .segment_size(SEGMENT_BYTES)
        .flush_every_ms(None);
    let deadline = Instant::now() + RELEASE_TIMEOUT;
    loop {
        match config.open() {
            Err(sled::Error::Io(error))
                if error.to_string().contains("could not acquire lock")
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result.map_err(|error| engine_error(home, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use lazymesh_core::{Dependency, ExternalHost};

    use super::*;
    use crate::store::fixtures::{dependency, external};

    async fn commit(dir: &Path, changes: Vec<Change>) {
        let store = SledStore::open(dir).unwrap();
        store.commit(changes).await.unwrap();
        store.close().await.unwrap();
    }

    async fn reopened(dir: &Path) -> Snapshot {
        let store = SledStore::open(dir).unwrap();
        let snapshot = store.load().await.unwrap();
        store.close().await.unwrap();
        snapshot
    }

    fn write_raw(dir: &Path, records: &[(&[u8], &[u8])]) {
        let (db, _) = open_engine(&dir.join("sled")).unwrap();
        for (key, value) in records {
            db.insert(key, *value).unwrap();
        }
        db.flush().unwrap();
    }

    const OLD_KEY: &[u8] = b"d/shop/web/prod/old.prod.svc.cluster.local";
    const OLD_VALUE: &[u8] =
        br#"{"first_seen_ms":1000,"last_seen_ms":2000,"count":3,"origin":"learned"}"#;

    #[tokio::test]
    async fn what_was_committed_is_there_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let nested = dir.path().join("not/yet/there");
        commit(
            &nested,
            vec![
                Change::Dependency(dependency("web", "b")),
                Change::Dependency(dependency("web", "a")),
                Change::External(external("web", "example.com")),
            ],
        )
        .await;
        let updated = ExternalHost {
            count: 9,
            ..external("web", "example.com")
        };
        let gone = dependency("web", "b");
        commit(
            &nested,
            vec![
                Change::External(updated.clone()),
                Change::RemoveDependency {
                    source: gone.source,
                    host: gone.host,
                },
            ],
        )
        .await;
        let snapshot = reopened(&nested).await;
        assert_eq!(snapshot.dependencies, [dependency("web", "a")]);
        assert_eq!(snapshot.externals, [updated]);
        assert!(snapshot.damaged.is_empty());
    }

    #[tokio::test]
    async fn the_last_change_of_one_commit_wins() {
        let dir = tempfile::tempdir().unwrap();
        let removed = dependency("web", "a");
        commit(
            dir.path(),
            vec![
                Change::RemoveDependency {
                    source: removed.source,
                    host: removed.host,
                },
                Change::Dependency(dependency("web", "a")),
                Change::Dependency(Dependency {
                    count: 7,
                    ..dependency("web", "a")
                }),
            ],
        )
        .await;
        assert_eq!(reopened(dir.path()).await.dependencies[0].count, 7);
    }

    #[tokio::test]
    async fn a_second_collector_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let first = SledStore::open(dir.path()).unwrap();
        let refused = SledStore::open(dir.path()).err().unwrap();
        assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
        first.close().await.unwrap();
        reopened(dir.path()).await;
    }

    #[tokio::test]
    async fn a_store_without_a_version_is_brought_up_to_date() {
        let dir = tempfile::tempdir().unwrap();
        write_raw(dir.path(), &[(OLD_KEY, OLD_VALUE)]);
        assert_eq!(
            reopened(dir.path()).await.dependencies,
            [dependency("web", "old")]
        );
        let (db, _) = open_engine(&dir.path().join("sled")).unwrap();
        assert_eq!(db.get("schema").unwrap().unwrap(), b"1");
    }

    #[tokio::test]
    async fn a_later_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        commit(dir.path(), vec![Change::Dependency(dependency("web", "a"))]).await;
        write_raw(dir.path(), &[(b"schema", b"2")]);
        let refused = SledStore::open(dir.path()).err().unwrap();
        assert!(
            matches!(
                refused,
                StoreError::Newer {
                    found: 2,
                    supported: 1,
                    ..
                }
            ),
            "{refused}"
        );
    }

    #[tokio::test]
    async fn a_bad_record_stays_and_is_reported_until_it_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        commit(dir.path(), vec![Change::Dependency(dependency("web", "a"))]).await;
        write_raw(dir.path(), &[(OLD_KEY, b"{\"first_seen_ms\":")]);
        for _ in 0..2 {
            let snapshot = reopened(dir.path()).await;
            assert_eq!(snapshot.dependencies, [dependency("web", "a")]);
            assert_eq!(snapshot.damaged.len(), 1);
            assert_eq!(snapshot.damaged[0].key.as_bytes(), OLD_KEY);
        }
        commit(
            dir.path(),
            vec![Change::Dependency(dependency("web", "old"))],
        )
        .await;
        assert!(reopened(dir.path()).await.damaged.is_empty());
    }

    #[tokio::test]
    async fn a_start_that_was_cut_short_is_started_again() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sled.new")).unwrap();
        fs::write(dir.path().join("sled.new/conf"), [0; 62]).unwrap();
        assert!(reopened(dir.path()).await.dependencies.is_empty());
        assert!(!dir.path().join("sled.new").exists());
    }

    #[tokio::test]
    async fn a_snapshot_that_was_cut_short_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        commit(dir.path(), vec![Change::Dependency(dependency("web", "a"))]).await;
        for unfinished in ["", "half of a snapshot"] {
            let path = dir.path().join("sled/snap.FFFFFFFFFFFFFFFF.generating");
            fs::write(&path, unfinished).unwrap();
            assert_eq!(
                reopened(dir.path()).await.dependencies,
                [dependency("web", "a")]
            );
            assert!(!path.exists());
        }
    }

    #[tokio::test]
    async fn a_file_of_rubbish_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        commit(dir.path(), vec![Change::Dependency(dependency("web", "a"))]).await;
        fs::write(dir.path().join("sled/conf"), "segment_size: what?\n....").unwrap();
        let refused = SledStore::open(dir.path()).err().unwrap();
        assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
    }

    #[test]
    fn a_path_that_is_a_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("store");
        fs::write(&file, "").unwrap();
        let refused = SledStore::open(&file).err().unwrap();
        assert!(matches!(refused, StoreError::Io { .. }), "{refused}");
    }
}
