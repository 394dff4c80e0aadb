//! Sorts tests into tiers, by what they need of the machine.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde::Deserialize;

use crate::command::{cargo, output};

/// Which tests to run.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Selection {
    #[command(subcommand)]
    tier: Option<Tier>,
    #[command(flatten)]
    name: Name,
}

#[derive(Args, Clone)]
struct Name {
    /// Only the tests whose names contain it (after `--` if a tier is called so)
    name: Option<String>,
}

#[derive(Args, Clone)]
struct OnEnvoy {
    #[command(flatten)]
    name: Name,
    /// All of it on this version, such as 1.38, and on no other
    #[arg(long = "envoy", value_name = "VERSION")]
    version: Option<String>,
}

#[derive(Clone, Subcommand)]
enum Tier {
    /// Only what takes no root, no network and no other programs: a minute at most, once built
    Unit(Name),
    /// Only what runs on a real Envoy, without root
    Envoy(OnEnvoy),
    /// Only what talks to others' registries and clients (Go, Node.js, apt)
    Interop(Name),
    /// Only what runs on a real Istio and kube-apiserver (root, Go, apt)
    Mesh(Name),
}

impl Selection {
    /// Whether nothing is left out.
    pub(super) fn is_everything(&self) -> bool {
        self.tier.is_none() && self.name().is_none()
    }

    /// What the names of the tests must contain.
    pub(super) fn name(&self) -> Option<&str> {
        let name = match &self.tier {
            None => &self.name,
            Some(Tier::Unit(name) | Tier::Interop(name) | Tier::Mesh(name)) => name,
            Some(Tier::Envoy(on)) => &on.name,
        };
        name.name.as_deref()
    }

    pub(super) fn has_envoy(&self) -> bool {
        matches!(self.tier, None | Some(Tier::Envoy(_)))
    }

    /// The version of Envoy that was asked for.
    pub(super) fn envoy_version(&self) -> Option<&str> {
        match &self.tier {
            Some(Tier::Envoy(on)) => on.version.as_deref(),
            _ => None,
        }
    }

    /// Whether an older Envoy is tried, too.
    pub(super) fn has_older_envoy(&self) -> bool {
        self.has_envoy() && self.name().is_none() && self.envoy_version().is_none()
    }

    /// What is tried on it.
    pub(super) fn tests_of_older_envoy(root: &Path) -> Command {
        let mut test = cargo(root, &["test", "--workspace", "--all-features"]);
        test.args(["--test", "simulation", "--"]).args(OLDER_ENVOY);
        test
    }

    pub(super) fn has_interop(&self) -> bool {
        matches!(self.tier, None | Some(Tier::Interop(_)))
    }

    pub(super) fn has_mesh(&self) -> bool {
        matches!(self.tier, None | Some(Tier::Mesh(_)))
    }

    /// The tests that cargo runs, all built with the same features, so that no tier builds anew what another has built.
    pub(super) fn cargo_tests(&self, root: &Path) -> Result<Vec<Command>> {
        let test = |targets: &[String]| {
            let mut test = cargo(root, &["test", "--workspace", "--all-features"]);
            test.args(targets).args(self.name());
            test
        };
        Ok(match &self.tier {
            None => vec![test(&[])],
            Some(Tier::Unit(_)) => vec![test(&unit(root)?), test(&["--doc".to_owned()])],
            Some(Tier::Envoy(_)) => vec![test(&named(&ENVOY))],
            // One test runs the example, which cargo puts in its place only where it is not a test itself.
            Some(Tier::Interop(_)) => vec![
                cargo(
                    root,
                    &["build", "--workspace", "--all-features", "--examples"],
                ),
                test(&named(&INTEROP)),
            ],
            Some(Tier::Mesh(_)) => vec![test(&named(&MESH))],
        })
    }
}

/// Test targets of the tiers; every other one is of the first.
const ENVOY: [&str; 3] = ["durability", "module", "simulation"];
const INTEROP: [&str; 3] = ["clients", "interop", "prometheus"];
const MESH: [&str; 4] = ["equivalence", "kubernetes", "lab", "lab_command"];

/// Tests that go through what the filter asks of its host: each decision, for requests and connections.
const OLDER_ENVOY: [&str; 4] = [
    "direct::the_callee",
    "hold::a_service_that",
    "registry_only::",
    "tcp::a_held_connection",
];

fn unit(root: &Path) -> Result<Vec<String>> {
    let targets = test_targets(root)?;
    let others = [&ENVOY[..], &INTEROP, &MESH].concat();
    let unit: Vec<&str> = targets
        .iter()
        .map(String::as_str)
        .filter(|target| !others.contains(target))
        .collect();
    let own = ["--lib", "--bins"].map(str::to_owned);
    Ok([own.to_vec(), named(&unit)].concat())
}

fn named(targets: &[&str]) -> Vec<String> {
    targets
        .iter()
        .flat_map(|target| ["--test".to_owned(), (*target).to_owned()])
        .collect()
}

/// Names of the workspace's integration tests.
fn test_targets(root: &Path) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        targets: Vec<Target>,
    }
    #[derive(Deserialize)]
    struct Target {
        kind: Vec<String>,
        name: String,
    }
    let mut metadata = cargo(root, &["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Metadata = serde_json::from_slice(&output(&mut metadata)?)
        .context("cargo metadata answered something else")?;
    let targets = metadata
        .packages
        .into_iter()
        .flat_map(|package| package.targets);
    Ok(targets
        .filter(|target| target.kind == ["test"])
        .map(|target| target.name)
        .collect())
}
