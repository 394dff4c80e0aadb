use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::binaries;
use crate::disk::Disk;

const CUTS: usize = 5;
/// Writes that are acknowledged before each cut.
const WRITES: usize = 200;

/// If this fails, the power cuts of this suite prove nothing.
#[test]
fn sled_without_our_sync_loses_what_it_acknowledged() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut lost_in = Vec::new();
    for cut in 0..CUTS {
        let mut disk = Disk::create(dir.path().join(cut.to_string()))?;
        let database = disk.path().join("db");
        // The database as such is on the disk; only what is written to it next is at stake.
        write_and_kill(&database, |_| Ok(()))?;
        let acknowledged = write_and_kill(&database, |command| disk.put_under(command))?;
        disk.cut(0.0, 0)?;
        let found = read(&database)?;
        lost_in.push(acknowledged.difference(&found).count());
    }
    println!(
        "{CUTS} power cuts of a bare sled, {WRITES} acknowledged before each, lost: {lost_in:?}"
    );
    assert!(
        lost_in.iter().all(|lost| *lost > 0),
        "the layer does not bite: {lost_in:?}"
    );
    Ok(())
}

fn write_and_kill(
    database: &Path,
    under: impl FnOnce(&mut Command) -> Result<()>,
) -> Result<BTreeSet<String>> {
    let mut command = Command::new(binaries::powercut()?);
    command
        .arg("bare-sled")
        .arg(database)
        .stdout(Stdio::piped());
    under(&mut command)?;
    let mut child = command.spawn()?;
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let acknowledged = lines.take(WRITES).collect::<Result<_, _>>()?;
    child.kill()?;
    child.wait()?;
    Ok(acknowledged)
}

/// A database that does not open has nothing.
fn read(database: &Path) -> Result<BTreeSet<String>> {
    let output = Command::new(binaries::powercut()?)
        .arg("read-bare-sled")
        .arg(database)
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect())
}
