//! The filter: pushed, verified, and pulled again.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use serde::Deserialize;

use super::{Release, answer};
use crate::command::output;

pub(super) const NAME: &str = "filter";

/// What `lazymesh push -o json` answers.
#[derive(Deserialize)]
struct Pushed {
    digest: String,
    uploads: usize,
}

pub(super) fn publish(release: &Release<'_>, module: &Path) -> Result<()> {
    let pushed = push(release, module)?;
    let again = push(release, module)?;
    ensure!(
        (again.uploads, &again.digest) == (0, &pushed.digest),
        "pushing the same again sent something"
    );
    let reference = release.reference(NAME);
    println!("release: pushed {reference} as {}", pushed.digest);
    release.verify(NAME, &pushed.digest, &[])?;
    pull_back(release, module)?;
    release.keep(NAME)
}

fn push(release: &Release<'_>, module: &Path) -> Result<Pushed> {
    let mut push = release.lazymesh("push", NAME);
    push.arg("--file").arg(module);
    push.arg("--sign-key").arg(&release.key.private);
    answer(push.args(["-o", "json"]))
}

fn pull_back(release: &Release<'_>, module: &Path) -> Result<()> {
    let pulled = release.scratch.join("pulled.wasm");
    output(release.lazymesh("pull", NAME).arg("--file").arg(&pulled))?;
    ensure!(
        fs::read(pulled)? == fs::read(module)?,
        "another module came back than was pushed"
    );
    println!("release: pulled, and it is the module that was built");
    Ok(())
}
