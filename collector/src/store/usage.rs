//! Writes down when and how often known things were used, in a file beside the engine's.
//!
//! That changes all the time, and nothing that was acknowledged depends on it. sled would write a page anew for every few uses, and
//! give the room of the old ones back late. So it is a file of its own, written piece by piece under another name and then put in
//! the place of the one before.
//!
//! Inflated, a line is a [`Used`]. The last line is the number of the others, and their hash.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::bufread::DeflateDecoder;
use flate2::write::DeflateEncoder;
use futures::StreamExt;
use futures::stream::BoxStream;
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use super::checked::first_bits;
use super::used::Used;
use super::{Snapshot, StoreError};
use crate::runtime::fsync;

const NAME: &str = "usage";
const UNFINISHED: &str = "usage.new";
/// Longer than any line.
const MAX_LINE_BYTES: u64 = 64 * 1024;

/// Where a store in this directory has the file.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// Writes what comes in the place of what was there. Each piece is on the disk before the next one comes, so that others who wait
/// for the disk wait for a piece at most.
pub(super) async fn write(dir: &Path, mut uses: BoxStream<'_, Snapshot>) -> Result<(), StoreError> {
    let home = dir.to_owned();
    let mut draft = aside(move || Draft::create(&home)).await?;
    while let Some(piece) = uses.next().await {
        draft = aside(move || draft.add(&piece)).await?;
    }
    aside(move || draft.finish()).await
}

/// Does what may wait for the disk where nobody else waits.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let worked = spawn_blocking(work).await;
    worked.unwrap_or(Err(StoreError::Closed))
}

/// The file while it is written; gone if it is not finished.
struct Draft {
    file: DeflateEncoder<File>,
    unfinished: Unfinished,
    dir: PathBuf,
    tally: Tally,
}

struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Once it is in place there is none.
        let _ = fs::remove_file(&self.0);
    }
}

impl Draft {
    fn create(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(UNFINISHED);
        let file = File::create(&path).map_err(StoreError::io(&path))?;
        Ok(Self {
            file: DeflateEncoder::new(file, Compression::fast()),
            unfinished: Unfinished(path),
            dir: dir.to_owned(),
            tally: Tally::default(),
        })
    }

    fn add(mut self, piece: &Snapshot) -> Result<Self, StoreError> {
        let dependencies = piece.dependencies.iter().map(Used::dependency);
        let externals = piece.externals.iter().map(Used::external);
        let mut lines = Vec::new();
        for used in dependencies.chain(externals) {
            let line = used?.to_line();
            self.tally.take(&line);
            lines.extend(line);
        }
        self.append(&lines)?;
        Ok(self)
    }

    fn append(&mut self, lines: &[u8]) -> Result<(), StoreError> {
        let written = self.file.write_all(lines);
        let flushed = written.and_then(|()| self.file.flush());
        let synced = flushed.and_then(|()| self.file.get_ref().sync_data());
        synced.map_err(StoreError::io(&self.unfinished.0))
    }

    fn finish(mut self) -> Result<(), StoreError> {
        let last = std::mem::take(&mut self.tally).close();
        self.append(last.as_bytes())?;
        let finished = self.file.try_finish();
        let synced = finished.and_then(|()| self.file.get_ref().sync_data());
        synced.map_err(StoreError::io(&self.unfinished.0))?;
        let path = path(&self.dir);
        fs::rename(&self.unfinished.0, &path).map_err(StoreError::io(&path))?;
        fsync::sync_dir(&self.dir).map_err(StoreError::io(&self.dir))
    }
}

/// Counts lines.
#[derive(Default)]
struct Tally {
    lines: u64,
    hash: Sha256,
}

impl Tally {
    fn take(&mut self, line: &[u8]) {
        self.lines += 1;
        self.hash.update(line);
    }

    fn close(self) -> String {
        format!("{} {:016x}\n", self.lines, first_bits(self.hash))
    }
}

/// Makes sure that the file has what was written.
pub(super) fn check(dir: &Path) -> Result<(), StoreError> {
    read(dir, |_| {})
}

/// Adds to a snapshot, which is sorted, how what it has was used later.
pub(super) fn add_to(snapshot: &mut Snapshot, dir: &Path) -> Result<(), StoreError> {
    read(dir, |line| {
        // Lines are what was written. One that means nothing here is of a later lazymesh.
        if let Some(used) = Used::of_line(line) {
            used.add_to(snapshot);
        }
    })
}

/// Reads the lines but the last, which they are compared with. There may be no file: nothing was used yet.
fn read(dir: &Path, mut take: impl FnMut(&[u8])) -> Result<(), StoreError> {
    let path = path(dir);
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(StoreError::io(&path))?,
    };
    let damaged = || StoreError::damaged(dir, format!("{NAME} is not what was written"));
    let mut lines = BufReader::new(DeflateDecoder::new(BufReader::new(file)));
    let (mut tally, mut line, mut next) = (Tally::default(), Vec::new(), Vec::new());
    loop {
        next.clear();
        let mut rest = lines.by_ref().take(MAX_LINE_BYTES);
        match rest.read_until(b'\n', &mut next) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if is_corrupt(&error) => return Err(damaged()),
            Err(error) => return Err(StoreError::io(&path)(error)),
        }
        if !line.is_empty() {
            take(&line);
            tally.take(&line);
        }
        std::mem::swap(&mut line, &mut next);
    }
    match line == tally.close().as_bytes() {
        true => Ok(()),
        false => Err(damaged()),
    }
}

/// Whether it is the contents that cannot be read, and not the file.
fn is_corrupt(error: &io::Error) -> bool {
    use ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
}

#[cfg(test)]
mod tests;
