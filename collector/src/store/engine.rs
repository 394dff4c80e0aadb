//! Opens sled 0.34 so that what it acknowledged survives, and puts files where they are complete.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::StoreError;

/// Cache of pages in memory, in bytes. The store is read once, so more would be wasted.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// Size in bytes by which the data file grows, and of sled's write buffer.
const SEGMENT_BYTES: usize = 512 * 1024;
/// How long sled may take to let go of its file after a store in the same process was closed.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// sled, with its one data file.
pub(super) struct Engine {
    pub(super) db: sled::Db,
    file: File,
    data: PathBuf,
}

impl Engine {
    /// Opens what is in a directory, which is made when it is missing.
    pub(super) fn open(home: &Path) -> Result<Self, StoreError> {
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
        Ok(Self { db, file, data })
    }

    /// Makes everything written so far durable.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(write_error)?;
        self.file.sync_data().map_err(write_error)
    }

    /// Makes sure that the next start finds what was synced.
    pub(super) fn is_in_place(&self) -> Result<(), StoreError> {
        is_in_place(&self.file, &self.data)
    }
}

/// Whether a path still leads to an open file.
pub(super) fn is_in_place(file: &File, path: &Path) -> Result<(), StoreError> {
    let replaced = |_: io::Error| StoreError::Replaced {
        path: path.to_owned(),
    };
    let (ours, theirs) = (
        file.metadata().map_err(write_error)?,
        fs::metadata(path).map_err(replaced)?,
    );
    match (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino()) {
        true => Ok(()),
        false => Err(replaced(io::ErrorKind::NotFound.into())),
    }
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

pub(super) fn write_error(error: impl std::fmt::Display) -> StoreError {
    StoreError::Write {
        reason: error.to_string(),
    }
}

pub(super) fn lock(dir: &Path) -> Result<File, StoreError> {
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
