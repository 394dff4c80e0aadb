//! Whether all places that name the version name the same one.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use semver::Version;
use serde::Deserialize;

use crate::command::{cargo, output};

/// What `cargo metadata` says about the workspace.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: Version,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chart {
    version: Version,
    app_version: Version,
}

/// The version of everything in the workspace at `root`.
///
/// # Errors
/// When there are several.
pub(super) fn check_workspace(root: &Path) -> Result<Version> {
    let arguments = ["metadata", "--format-version", "1", "--no-deps", "--locked"];
    let metadata = output(&mut cargo(root, &arguments))?;
    let read = |name: &str| fs::read_to_string(root.join(name)).context(name.to_owned());
    let chart = read("charts/lazymesh/Chart.yaml")?;
    let (version, stage) = check(&metadata, &chart, &read("CHANGELOG.md")?)?;
    println!("release: version {version} in Cargo.toml, Chart.yaml and CHANGELOG.md ({stage})");
    Ok(version)
}

fn check(metadata: &[u8], chart: &str, changelog: &str) -> Result<(Version, &'static str)> {
    let metadata: Metadata = serde_json::from_slice(metadata).context("cargo metadata")?;
    let chart: Chart = serde_saphyr::from_str(chart).context("Chart.yaml")?;
    let version = metadata
        .packages
        .first()
        .context("no packages")?
        .version
        .clone();
    for package in &metadata.packages {
        let (name, other) = (&package.name, &package.version);
        ensure!(
            *other == version,
            "{name} has version {other}, others have {version}"
        );
    }
    for (name, other) in [
        ("version", &chart.version),
        ("appVersion", &chart.app_version),
    ] {
        ensure!(
            *other == version,
            "Chart.yaml has {name} {other}, Cargo.toml {version}"
        );
    }
    Ok((version.clone(), stage(&version, changelog)?))
}

/// How far the CHANGELOG is with `version`.
fn stage(version: &Version, changelog: &str) -> Result<&'static str> {
    let headings = changelog
        .lines()
        .filter_map(|line| line.strip_prefix("## ["));
    let names = headings.filter_map(|heading| heading.split_once(']'));
    let mut released = names.filter(|(name, _)| *name != "Unreleased");
    let newest = released
        .next()
        .map(|(name, rest)| (Version::parse(name), rest));
    match newest {
        Some((Ok(newest), date)) if newest == *version => {
            ensure!(
                date.starts_with(" - "),
                "CHANGELOG.md: {version} has no date"
            );
            Ok("released in all")
        }
        Some((Ok(newest), _)) if newest > *version => {
            bail!("CHANGELOG.md is at {newest} already, Cargo.toml at {version}")
        }
        Some((Err(error), _)) => Err(error).context("CHANGELOG.md: expected a version as heading"),
        _ if has_entries(changelog) => Ok("the last has it under `Unreleased` still"),
        _ => bail!("CHANGELOG.md says nothing about {version}"),
    }
}

fn has_entries(changelog: &str) -> bool {
    let Some((_, rest)) = changelog.split_once("## [Unreleased]") else {
        return false;
    };
    let section = rest.split("\n## [").next().unwrap_or_default();
    section.lines().any(|line| line.starts_with("- "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PENDING: &str = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- Things.\n";

    fn chart(version: &str, app_version: &str) -> String {
        format!("name: lazymesh\nversion: {version}\nappVersion: {app_version}\n")
    }

    fn packages(versions: &[&str]) -> String {
        let packages = versions
            .iter()
            .map(|version| format!(r#"{{"name":"p","version":"{version}"}}"#));
        format!(
            r#"{{"packages":[{}]}}"#,
            packages.collect::<Vec<_>>().join(",")
        )
    }

    #[track_caller]
    fn check_all(versions: &[&str], chart: &str, changelog: &str, expect: Result<&str, &str>) {
        match (
            check(packages(versions).as_bytes(), chart, changelog),
            expect,
        ) {
            (Ok((_, stage)), Ok(part)) => assert!(stage.contains(part), "{stage}"),
            (Err(error), Err(part)) => assert!(format!("{error:#}").contains(part), "{error:#}"),
            (found, _) => panic!("{found:?}"),
        }
    }

    #[test]
    fn places_that_name_the_version() {
        let same = &["0.2.0", "0.2.0"];
        check_all(same, &chart("0.2.0", "0.2.0"), PENDING, Ok("Unreleased"));
        check_all(
            &["0.2.0", "0.1.0"],
            &chart("0.2.0", "0.2.0"),
            PENDING,
            Err("p has version 0.1.0"),
        );
        check_all(
            same,
            &chart("0.1.0", "0.2.0"),
            PENDING,
            Err("Chart.yaml has version 0.1.0"),
        );
        check_all(
            same,
            &chart("0.2.0", "0.3.0"),
            PENDING,
            Err("Chart.yaml has appVersion 0.3.0"),
        );
        check_all(same, "name: lazymesh\n", PENDING, Err("Chart.yaml"));
    }

    #[test]
    fn changelogs() {
        let check = |changelog: &str, expect| {
            check_all(&["0.2.0"], &chart("0.2.0", "0.2.0"), changelog, expect);
        };
        let old = "\n## [0.1.0] - 2026-01-01\n\n- Old.\n";
        check(&format!("{PENDING}{old}"), Ok("Unreleased"));
        check(
            &format!("## [Unreleased]\n{old}"),
            Err("says nothing about 0.2.0"),
        );
        check(old, Err("says nothing about 0.2.0"));
        let released = "## [Unreleased]\n\n## [0.2.0] - 2026-02-02\n";
        check(&format!("{released}{old}"), Ok("released"));
        check(&released.replace(" - 2026-02-02", ""), Err("has no date"));
        check(
            &released.replace("0.2.0", "0.10.0"),
            Err("is at 0.10.0 already"),
        );
        check(
            &released.replace("0.2.0", "next"),
            Err("expected a version"),
        );
    }
}
