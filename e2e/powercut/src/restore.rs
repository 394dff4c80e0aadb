//! Makes the disk that a power cut would have left: all that was synced, and of the rest whatever chance had already
//! sent to the platter, sector by sector and name by name.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{layout, record};

/// What a disk writes as a whole.
const SECTOR: usize = 512;

#[derive(clap::Args)]
pub(crate) struct Restore {
    /// The disk as the killed process left it.
    disk: PathBuf,
    /// What was synced.
    shadow: PathBuf,
    /// The disk after the power cut; must not exist.
    image: PathBuf,
    /// Chance, 0 to 1, of each sector and each directory's names that were not synced to be there all the same.
    #[arg(long, default_value_t = 0.0)]
    survival: f64,
    /// Decides what survives.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl Restore {
    pub(crate) fn run(&self) -> Result<()> {
        let mut files = HashMap::new();
        find(&self.disk, &mut files)?;
        let mut cut = Cut {
            shadow: &self.shadow,
            now: files,
            survival: self.survival,
            chance: fastrand::Rng::with_seed(self.seed),
        };
        let root = layout::identity(&fs::metadata(&self.disk)?)?;
        cut.directory(&root, &self.image)
    }
}

/// Where everything is now, by identity.
fn find(path: &Path, files: &mut HashMap<String, PathBuf>) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    files.insert(layout::identity(&metadata)?, path.to_owned());
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            find(&entry?.path(), files)?;
        }
    }
    Ok(())
}

struct Cut<'a> {
    shadow: &'a Path,
    now: HashMap<String, PathBuf>,
    survival: f64,
    chance: fastrand::Rng,
}

impl Cut<'_> {
    fn directory(&mut self, identity: &str, image: &Path) -> Result<()> {
        fs::create_dir(image)?;
        for line in self.names(identity)?.lines() {
            let mut fields = line.splitn(3, '\t');
            let (Some(identity), Some(kind), Some(name)) =
                (fields.next(), fields.next(), fields.next())
            else {
                anyhow::bail!("{line:?} is not a line of a shadow");
            };
            let image = image.join(name);
            if kind == "d" {
                self.directory(identity, &image)?;
            } else {
                let content = self
                    .content(identity)
                    .context(image.display().to_string())?;
                fs::write(&image, content)?;
            }
        }
        Ok(())
    }

    fn names(&mut self, identity: &str) -> io::Result<String> {
        let survives = self.survives();
        match self.now.get(identity) {
            Some(path) if survives => record::list(path),
            _ => unless_missing(fs::read_to_string(layout::names(self.shadow, identity))),
        }
    }

    fn content(&mut self, identity: &str) -> io::Result<Vec<u8>> {
        let mut content = unless_missing(fs::read(layout::content(self.shadow, identity)))?;
        let Some(path) = self.now.get(identity) else {
            return Ok(content);
        };
        let now = fs::read(path)?;
        if self.survives() {
            content.resize(now.len(), 0);
        }
        for (old, new) in content.chunks_mut(SECTOR).zip(now.chunks(SECTOR)) {
            if self.survives() {
                let length = old.len().min(new.len());
                old[..length].copy_from_slice(&new[..length]);
            }
        }
        Ok(content)
    }

    fn survives(&mut self) -> bool {
        self.chance.f64() < self.survival
    }
}

/// What was never synced is empty.
fn unless_missing<T: Default>(result: io::Result<T>) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        result => result,
    }
}
