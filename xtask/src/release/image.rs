//! The collector's image: copied to the registry, signed and verified.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use serde::Deserialize;

use super::{Release, answer};
use crate::command::output;

pub(super) const NAME: &str = "collector";

/// What `lazymesh copy -o json` answers.
#[derive(Deserialize)]
struct Copied {
    digest: String,
    uploads: usize,
}

pub(super) fn publish(release: &Release<'_>, layout: &Path) -> Result<()> {
    let copied = copy(release, layout)?;
    let reference = release.reference(NAME);
    println!(
        "release: copied the image to {reference} as {}",
        copied.digest
    );
    let mut sign = release.lazymesh("sign", NAME);
    output(
        sign.arg("--image")
            .arg("--sign-key")
            .arg(&release.key.private),
    )?;
    let again = copy(release, layout)?;
    ensure!(
        (again.uploads, &again.digest) == (0, &copied.digest),
        "copying the same again sent something"
    );
    release.verify(NAME, &copied.digest, &["--image"])?;
    release.keep(NAME)
}

fn copy(release: &Release<'_>, layout: &Path) -> Result<Copied> {
    let mut copy = Command::new(release.lazymesh);
    copy.args(["copy", "--insecure", "-o", "json"]);
    copy.arg(format!(
        "oci-layout:{}:{}",
        layout.display(),
        release.version
    ));
    answer(copy.arg(release.reference(NAME)))
}
