//! What cargo says about a package: its dependencies, as `cargo metadata` has them, as far as `cargo tree` says that they are
//! linked.

use std::collections::{BTreeMap, BTreeSet};

use lazymesh_core::fit_json;
use serde::Deserialize;

use crate::DocumentError;

/// What cargo says about a package.
#[derive(Debug, Clone, Copy)]
pub struct Cargo<'a> {
    /// Name of the package, one of the workspace.
    pub package: &'a str,
    /// Output of `cargo metadata --format-version 1 --locked --filter-platform TARGET`.
    pub metadata: &'a [u8],
    /// Output of `cargo tree --locked --package PACKAGE --target TARGET --edges normal,no-proc-macro --prefix none
    /// --format {p}`.
    pub tree: &'a str,
}

impl Cargo<'_> {
    pub(crate) fn metadata(&self) -> Result<Metadata, DocumentError> {
        fit_json(self.metadata).map_err(|e| DocumentError::malformed("cargo metadata", e))
    }
}

/// Names and versions in lines such as `memchr v2.8.0 (*)`.
fn linked(tree: &str) -> BTreeSet<(&str, &str)> {
    let lines = tree.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?, words.next()?.strip_prefix('v')?))
    });
    lines.collect()
}

#[derive(Deserialize)]
pub(crate) struct Metadata {
    packages: Vec<Package>,
    resolve: Option<Resolve>,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    #[serde(default)]
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    /// `null` for an ordinary dependency, else `dev` or `build`.
    kind: Option<String>,
}

pub(crate) struct Graph<'a> {
    packages: BTreeMap<&'a str, &'a Package>,
    dependencies: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Graph<'a> {
    /// `tree` is what `cargo tree` printed.
    pub(crate) fn new(metadata: &'a Metadata, tree: &str) -> Result<Self, DocumentError> {
        let linked = linked(tree);
        let missing =
            || DocumentError::malformed("cargo metadata", "no `resolve` (was --no-deps given?)");
        let resolve = metadata.resolve.as_ref().ok_or_else(missing)?;
        Ok(Self {
            packages: metadata
                .packages
                .iter()
                .filter(|package| linked.contains(&(&*package.name, &*package.version)))
                .map(|package| (package.id.as_str(), package))
                .collect(),
            dependencies: resolve
                .nodes
                .iter()
                .map(|node| (node.id.as_str(), ordinary(node)))
                .collect(),
        })
    }

    pub(crate) fn package(&self, name: &str) -> Result<&'a Package, DocumentError> {
        let found = self
            .packages
            .values()
            .find(|package| package.name == name && package.source.is_none());
        found
            .copied()
            .ok_or_else(|| DocumentError::NoPackage(name.to_owned()))
    }

    pub(crate) fn dependencies_of(&self, package: &Package) -> impl Iterator<Item = &'a Package> {
        let ids = self
            .dependencies
            .get(package.id.as_str())
            .into_iter()
            .flatten();
        ids.filter_map(|id| self.packages.get(id).copied())
    }

    /// All that `root` needs, sorted by name and version.
    pub(crate) fn needed_by(&self, root: &'a Package) -> Vec<&'a Package> {
        let mut seen = BTreeSet::new();
        let mut needed = Vec::new();
        let mut waiting: Vec<_> = self.dependencies_of(root).collect();
        while let Some(package) = waiting.pop() {
            if seen.insert(package.id.as_str()) {
                needed.push(package);
                waiting.extend(self.dependencies_of(package));
            }
        }
        needed.sort_by_key(|package| (&package.name, &package.version));
        needed
    }
}

fn ordinary(node: &Node) -> Vec<&str> {
    let is_ordinary = |dependency: &&Dependency| {
        dependency.dep_kinds.is_empty()
            || dependency.dep_kinds.iter().any(|kind| kind.kind.is_none())
    };
    node.deps
        .iter()
        .filter(is_ordinary)
        .map(|dependency| dependency.pkg.as_str())
        .collect()
}
