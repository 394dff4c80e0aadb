//! The other half of the fault layer: what a power cut leaves, and a program that it must harm.

mod bare_sled;
mod layout;
mod record;
mod restore;

use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::Parser;

/// A disk that forgets whatever was not synced.
#[derive(Parser)]
enum Command {
    /// Take everything that is on the disk for synced.
    Record {
        /// The disk, a directory.
        disk: PathBuf,
        /// Where to note it.
        shadow: PathBuf,
    },
    /// Make the disk that a power cut would have left.
    Restore(restore::Restore),
    /// Write to a bare sled, relying on its `flush` alone, and print each number that it acknowledged.
    BareSled {
        /// The database.
        path: PathBuf,
    },
    /// Print the numbers that a bare sled has.
    ReadBareSled {
        /// The database.
        path: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Record { disk, shadow } => Ok(record_all(&disk, &shadow)?),
        Command::Restore(restore) => restore.run(),
        Command::BareSled { path } => bare_sled::write(&path),
        Command::ReadBareSled { path } => bare_sled::read(&path),
    }
}

fn record_all(path: &Path, shadow: &Path) -> io::Result<()> {
    record::synced(path, shadow)?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            record_all(&entry?.path(), shadow)?;
        }
    }
    Ok(())
}
