//! A directory of manifests as it was at the last look, file by file.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use lazymesh_core::{Change, Object, ObjectKey};

use crate::inventory::directory::Problem;
use crate::inventory::directory::catalog::Catalog;
use crate::inventory::directory::manifest;
use crate::inventory::directory::scan::{self, Listing, Stamp};

/// What a look found to be different.
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) changes: Vec<Change>,
    /// All problems, if they are not those of the look before.
    pub(crate) problems: Option<Vec<Problem>>,
}

impl Update {
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.problems.is_none()
    }
}

pub(crate) struct Tree {
    root: PathBuf,
    catalog: Catalog,
    stamps: BTreeMap<PathBuf, Stamp>,
    /// Files that cannot be used; by their last good content they may still be in the catalog.
    broken: BTreeMap<PathBuf, Problem>,
    unwatched: Option<Problem>,
    problems: Vec<Problem>,
}

impl Tree {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            catalog: Catalog::default(),
            stamps: BTreeMap::new(),
            broken: BTreeMap::new(),
            unwatched: None,
            problems: Vec::new(),
        }
    }

    pub(crate) fn note_unwatched(&mut self, reason: String) {
        self.unwatched = Some(Problem::Unwatched {
            path: self.root.clone(),
            reason,
        });
    }

    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.catalog.objects()
    }

    /// Reads what is new, what looks different and what was touched.
    pub(crate) fn look(&mut self, touched: &HashSet<PathBuf>) -> Update {
        let listing = scan::list(&self.root);
        let mut changes = BTreeMap::new();
        for path in self.vanished(&listing) {
            self.stamps.remove(&path);
            self.broken.remove(&path);
            keep_last(&mut changes, self.catalog.replace(&path, Vec::new()));
        }
        for (path, stamp) in &listing.files {
            if self.stamps.get(path) != Some(stamp) || touched.contains(path) {
                keep_last(&mut changes, self.read(path, *stamp));
            }
        }
        Update {
            changes: changes.into_values().collect(),
            problems: self.new_problems(listing),
        }
    }

    fn vanished(&self, listing: &Listing) -> Vec<PathBuf> {
        self.stamps
            .keys()
            .filter(|path| !listing.files.contains_key(*path))
            .filter(|path| {
                !path
                    .ancestors()
                    .any(|above| listing.unreadable.contains_key(above))
            })
            .cloned()
            .collect()
    }

    fn read(&mut self, path: &Path, stamp: Stamp) -> Vec<Change> {
        let parsed = match scan::read(path) {
            Ok(text) => manifest::parse(path, &text),
            // The next look finds it gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => Err(unreadable(path, error.to_string())),
        };
        self.stamps.insert(path.to_owned(), stamp);
        match parsed {
            Ok(objects) => {
                self.broken.remove(path);
                self.catalog.replace(path, objects)
            }
            Err(problem) => {
                self.broken.insert(path.to_owned(), problem);
                Vec::new()
            }
        }
    }

    fn new_problems(&mut self, listing: Listing) -> Option<Vec<Problem>> {
        let unreadable = listing
            .unreadable
            .into_iter()
            .map(|(path, reason)| unreadable(&path, reason));
        let problems: BTreeSet<Problem> = unreadable
            .chain(self.broken.values().cloned())
            .chain(self.catalog.overridden())
            .chain(self.unwatched.clone())
            .collect();
        let problems = Vec::from_iter(problems);
        if problems == self.problems {
            return None;
        }
        for problem in problems
            .iter()
            .filter(|problem| !self.problems.contains(problem))
        {
            tracing::warn!(%problem, "inventory directory");
        }
        self.problems.clone_from(&problems);
        Some(problems)
    }
}

/// An object that moved from one file to another was never gone.
fn keep_last(changes: &mut BTreeMap<ObjectKey, Change>, more: Vec<Change>) {
    for change in more {
        changes.insert(change.key(), change);
    }
}

fn unreadable(path: &Path, reason: String) -> Problem {
    Problem::Unreadable {
        path: path.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn namespace(name: &str) -> String {
        format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}\n---\n")
    }

    struct Fixture {
        root: tempfile::TempDir,
        tree: Tree,
    }

    impl Fixture {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let tree = Tree::new(root.path().join("mesh"));
            fs::create_dir(&tree.root).unwrap();
            Self { root, tree }
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.tree.root.join(name), text).unwrap();
        }

        fn look(&mut self) -> Vec<String> {
            let show = |change: Change| match change {
                Change::Apply(object) => format!("+{}", object.key().name),
                Change::Remove(key) => format!("-{}", key.name),
            };
            let touched = HashSet::from([self.tree.root.join("a.yaml")]);
            self.tree
                .look(&touched)
                .changes
                .into_iter()
                .map(show)
                .collect()
        }

        fn problems(&self) -> Vec<String> {
            let prefix = format!("{}/", self.tree.root.display());
            let show = |problem: &Problem| problem.to_string().replace(&prefix, "");
            self.tree.problems.iter().map(show).collect()
        }
    }

    #[test]
    fn an_object_that_moves_is_never_gone() {
        let mut fixture = Fixture::new();
        fixture.write("b.yaml", &namespace("x"));
        assert_eq!(fixture.look(), ["+x"]);
        fs::rename(
            fixture.tree.root.join("b.yaml"),
            fixture.tree.root.join("c.yaml"),
        )
        .unwrap();
        assert_eq!(fixture.look(), ["+x"]);
        assert!(fixture.look().is_empty());
    }

    #[test]
    fn a_directory_that_goes_away_takes_nothing_with_it() {
        let mut fixture = Fixture::new();
        fixture.write("a.yaml", &namespace("x"));
        assert_eq!(fixture.look(), ["+x"]);
        let elsewhere = fixture.root.path().join("elsewhere");
        fs::rename(&fixture.tree.root, &elsewhere).unwrap();
        assert!(fixture.look().is_empty());
        assert!(matches!(
            fixture.tree.problems[..],
            [Problem::Unreadable { .. }]
        ));
        fs::rename(&elsewhere, &fixture.tree.root).unwrap();
        fixture.write("a.yaml", "");
        assert_eq!(fixture.look(), ["-x"]);
        assert!(fixture.problems().is_empty());
    }

    #[test]
    fn one_broken_document_keeps_the_whole_file() {
        let mut fixture = Fixture::new();
        fixture.write("a.yaml", &(namespace("x") + &namespace("v")));
        fixture.write("b.yaml", &namespace("z"));
        assert_eq!(fixture.look(), ["+v", "+x", "+z"]);
        fixture.write(
            "a.yaml",
            &(namespace("w") + "{apiVersion: v1, kind: Namespace}\n"),
        );
        fixture.write("b.yaml", "");
        assert_eq!(fixture.look(), ["-z"]);
        let expect = "a.yaml:3: document 2: Namespace: metadata.name is missing";
        assert_eq!(fixture.problems(), [expect]);
        fs::remove_file(fixture.tree.root.join("a.yaml")).unwrap();
        assert_eq!(fixture.look(), ["-v", "-x"]);
        assert!(fixture.problems().is_empty());
    }

    #[test]
    fn a_file_that_is_no_text_is_a_problem() {
        let mut fixture = Fixture::new();
        fs::write(fixture.tree.root.join("a.yaml"), [0xff, 0xfe, 0x00]).unwrap();
        assert!(fixture.look().is_empty());
        assert_eq!(
            fixture.problems(),
            ["a.yaml: stream did not contain valid UTF-8"]
        );
    }

    #[test]
    fn two_definitions_are_reported() {
        let mut fixture = Fixture::new();
        fixture.write("a.yaml", &namespace("x"));
        fixture.write("b.yaml", &namespace("x"));
        assert_eq!(fixture.look(), ["+x"]);
        assert_eq!(
            fixture.problems(),
            ["Namespace x in a.yaml is overridden by b.yaml"]
        );
    }
}
