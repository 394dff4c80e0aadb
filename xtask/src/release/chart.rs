//! The Helm chart: what it installs by default is what is released, and helm pushes it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Release, image};
use crate::command::output;

/// helm takes it from the chart.
pub(super) const NAME: &str = "lazymesh";
const CHART: &str = "charts/lazymesh";

pub(super) fn publish(release: &Release<'_>, root: &Path, helm: &Path) -> Result<()> {
    let chart = root.join(CHART);
    check_image(release, &chart, helm)?;
    let mut package = helm_command(release, helm);
    package.arg("package").arg(&chart);
    output(package.arg("--destination").arg(release.scratch))?;
    let archive = format!("{NAME}-{}.tgz", release.version);
    let mut push = helm_command(release, helm);
    push.arg("push").arg(release.scratch.join(archive));
    let repository = format!("oci://{}/lazymesh", release.registry);
    output(push.args([&repository, "--plain-http"]))?;
    println!("release: pushed the chart, which installs the image of this version");
    release.keep(NAME)
}

/// The image that is installed, if nobody says another tag, is the one that is published.
fn check_image(release: &Release<'_>, chart: &Path, helm: &Path) -> Result<()> {
    let reference = release.reference(image::NAME);
    let (repository, _) = reference.rsplit_once(':').context("a tag")?;
    let mut template = helm_command(release, helm);
    template.arg("template").arg(chart);
    template.args(["--set", &format!("image.repository={repository}")]);
    template.args(["--set", "attachment.url=oci://registry.example/filter:test"]);
    let objects = String::from_utf8(output(&mut template)?)?;
    let images: Vec<&str> = objects
        .lines()
        .filter_map(|line| line.trim().strip_prefix("image: "))
        .collect();
    ensure!(
        !images.is_empty() && images.iter().all(|image| *image == reference),
        "the chart installs {images:?}, not {reference}"
    );
    Ok(())
}

/// helm, without anything of the developer's own.
fn helm_command(release: &Release<'_>, helm: &Path) -> Command {
    let mut command = Command::new(helm);
    for (variable, folder) in [
        ("HELM_CACHE_HOME", "cache"),
        ("HELM_CONFIG_HOME", "config"),
        ("HELM_DATA_HOME", "data"),
    ] {
        command.env(variable, release.scratch.join("helm").join(folder));
    }
    command
}
