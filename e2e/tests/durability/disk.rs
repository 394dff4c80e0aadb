//! A disk on which power cuts can be played.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::binaries;

pub(crate) struct Disk {
    dir: PathBuf,
}

impl Disk {
    /// An empty one in this directory, which is created.
    pub(crate) fn create(dir: PathBuf) -> Result<Self> {
        fs::create_dir_all(dir.join("disk"))?;
        Ok(Self { dir })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.join("disk")
    }

    /// Takes what is there for synced, and watches what this command syncs from now on.
    pub(crate) fn put_under(&self, command: &mut Command) -> Result<()> {
        let shadow = self.shadow();
        if shadow.exists() {
            fs::remove_dir_all(&shadow)?;
        }
        fs::create_dir(&shadow)?;
        powercut(["record".as_ref(), self.path().as_path(), &shadow])?;
        command
            .env("LD_PRELOAD", binaries::layer()?)
            .env("POWERCUT_DISK", self.path())
            .env("POWERCUT_SHADOW", shadow);
        Ok(())
    }

    /// Cuts the power: what was not synced survives by chance only.
    pub(crate) fn cut(&mut self, survival: f64, seed: u64) -> Result<()> {
        let image = self.dir.join("image");
        let (survival, seed) = (format!("--survival={survival}"), format!("--seed={seed}"));
        powercut([
            "restore".as_ref(),
            self.path().as_path(),
            &self.shadow(),
            &image,
            survival.as_ref(),
            seed.as_ref(),
        ])?;
        fs::remove_dir_all(self.path())?;
        fs::rename(image, self.path())?;
        Ok(())
    }

    fn shadow(&self) -> PathBuf {
        self.dir.join("shadow")
    }
}

fn powercut<'a>(arguments: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    let output = Command::new(binaries::powercut()?)
        .args(arguments)
        .output()
        .context("powercut")?;
    ensure!(
        output.status.success(),
        "powercut: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
