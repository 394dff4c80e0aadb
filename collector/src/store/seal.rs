//! Writes down beside the engine's files which commit it had last, so that an engine that loses its end is found out.
//!
//! The file has two slots that are written by turns: a power cut in the middle of one leaves the other. Each is a line of
//! text with a checksum.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::checked::{Sum, unwrap, wrap};
use super::ledger::Ledger;
use crate::runtime::fsync;

/// A disk writes one as a whole.
const SLOT_BYTES: usize = 512;
const KEY: &[u8] = b"seal";

/// What was there at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) generation: u64,
    pub(super) total: Sum,
}

impl Sealed {
    pub(super) fn of(ledger: &Ledger) -> Self {
        Self {
            generation: ledger.generation,
            total: ledger.total(),
        }
    }
}

/// The file.
pub(super) struct Seal {
    file: File,
}

impl Seal {
    /// Opens the file, making it where it is missing, and reads what it says.
    pub(super) fn open(dir: &Path) -> io::Result<(Self, Option<Sealed>)> {
        let path = dir.join("seal");
        let is_new = !path.exists();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)?;
        if is_new {
            file.set_len(2 * SLOT_BYTES as u64)?;
            file.sync_all()?;
            fsync::sync_dir(dir)?;
        }
        let mut slots = [[0; SLOT_BYTES]; 2];
        for (offset, slot) in (0..).step_by(SLOT_BYTES).zip(&mut slots) {
            // A file that is too short has said nothing.
            let _ = file.read_exact_at(slot, offset);
        }
        let sealed = slots.iter().filter_map(read);
        let sealed = sealed.max_by_key(|sealed| sealed.generation);
        Ok((Self { file }, sealed))
    }

    /// Writes it durably.
    pub(super) fn write(&self, sealed: Sealed) -> io::Result<()> {
        let Sealed { generation, total } = sealed;
        let body = format!(" {generation} {}\n", total.to_text());
        let mut slot = wrap(KEY, body.as_bytes());
        slot.resize(SLOT_BYTES, 0);
        let offset = generation % 2 * SLOT_BYTES as u64;
        self.file.write_all_at(&slot, offset)?;
        self.file.sync_data()
    }
}

fn read(slot: &[u8; SLOT_BYTES]) -> Option<Sealed> {
    let end = slot.iter().position(|byte| *byte == b'\n')?;
    let body = unwrap(KEY, &slot[..=end]).ok()?.trim_ascii();
    let space = body.iter().position(|byte| *byte == b' ')?;
    Some(Sealed {
        generation: std::str::from_utf8(&body[..space]).ok()?.parse().ok()?,
        total: Sum::from_text(&body[space + 1..])?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_seal_is_read_and_the_one_before_where_that_is_torn() {
        let dir = tempfile::tempdir().unwrap();
        let sealed = |generation| Sealed {
            generation,
            total: Sum {
                count: generation * 10,
                hash: 99,
            },
        };
        let read = || Seal::open(dir.path()).unwrap().1;
        let (seal, found) = Seal::open(dir.path()).unwrap();
        assert_eq!(found, None);
        for generation in 1..=3 {
            seal.write(sealed(generation)).unwrap();
            assert_eq!(read(), Some(sealed(generation)));
        }
        seal.file
            .write_all_at(b"x", SLOT_BYTES as u64 + 20)
            .unwrap();
        assert_eq!(read(), Some(sealed(2)));
        seal.file.set_len(0).unwrap();
        assert_eq!(read(), None);
    }
}
