//! A directory of manifests as it was at the last look, file by file.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use lazymesh_core::{Change, Object, ObjectKey};

use crate::inventory::directory::Problem;
use crate::inventory::directory::catalog::Catalog;
use crate::inventory::directory::manifest::{self, Manifest};
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
    /// What is wrong with files.
    faults: BTreeMap<PathBuf, Vec<Problem>>,
    /// Files of which the catalog has more than they say now.
    outdated: BTreeSet<PathBuf>,
    unwatched: Option<Problem>,
    problems: Vec<Problem>,
}

impl Tree {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            catalog: Catalog::default(),
            stamps: BTreeMap::new(),
            faults: BTreeMap::new(),
            outdated: BTreeSet::new(),
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
    ///
    /// While anything cannot be used, nothing that was known goes: it may be in what cannot be used.
    pub(crate) fn look(&mut self, touched: &HashSet<PathBuf>) -> Update {
        let listing = scan::list(&self.root);
        let mut read = BTreeMap::new();
        for (path, stamp) in &listing.files {
            if self.stamps.get(path) != Some(stamp) || touched.contains(path) {
                read.extend(self.read(path, *stamp));
            }
        }
        let gone = self.gone(&listing);
        for path in &gone {
            self.faults.remove(path);
        }
        let is_whole = self.is_whole(&listing);
        let mut changes = BTreeMap::new();
        if is_whole {
            for path in gone {
                self.stamps.remove(&path);
                self.outdated.remove(&path);
                keep_last(&mut changes, self.catalog.replace(&path, Vec::new()));
            }
            for path in std::mem::take(&mut self.outdated) {
                if let (Some(stamp), false) = (listing.files.get(&path), read.contains_key(&path)) {
                    read.extend(self.read(&path, *stamp));
                }
            }
        }
        let is_whole = is_whole && self.is_whole(&listing);
        for (path, objects) in read {
            let change = match is_whole {
                true => self.catalog.replace(&path, objects),
                false => self.catalog.add(&path, objects),
            };
            if !is_whole {
                self.outdated.insert(path);
            }
            keep_last(&mut changes, change);
        }
        Update {
            changes: changes.into_values().collect(),
            problems: self.new_problems(listing),
        }
    }

    /// Files that were there, unless they are where nobody can look now.
    fn gone(&self, listing: &Listing) -> Vec<PathBuf> {
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

    fn is_whole(&self, listing: &Listing) -> bool {
        let mut faults = self.faults.values().flatten();
        listing.unreadable.is_empty() && !faults.any(Problem::is_loss)
    }

    /// What a file says now; nothing of one that is gone or cannot be read.
    fn read(&mut self, path: &Path, stamp: Stamp) -> Option<(PathBuf, Vec<Object>)> {
        let Manifest { objects, problems } = match scan::read(path) {
            Ok(text) => manifest::parse(path, &text),
            // The next look finds it gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => Manifest {
                objects: Vec::new(),
                problems: vec![unreadable(path, error.to_string())],
            },
        };
        self.stamps.insert(path.to_owned(), stamp);
        if problems.is_empty() {
            self.faults.remove(path);
        } else {
            self.faults.insert(path.to_owned(), problems);
        }
        Some((path.to_owned(), objects))
    }

    fn new_problems(&mut self, listing: Listing) -> Option<Vec<Problem>> {
        let unreadable = listing
            .unreadable
            .into_iter()
            .map(|(path, reason)| unreadable(&path, reason));
        let problems: BTreeSet<Problem> = unreadable
            .chain(self.faults.values().flatten().cloned())
            .chain(self.catalog.overridden())
            .chain(self.unwatched.clone())
            .collect();
        let problems = Vec::from_iter(problems);
        if problems == self.problems {
            return None;
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
    fn while_one_document_is_broken_nothing_goes() {
        let mut fixture = Fixture::new();
        fixture.write("a.yaml", &(namespace("x") + &namespace("v")));
        fixture.write("b.yaml", &namespace("z"));
        fixture.write("c.yaml", &(namespace("p") + &namespace("q")));
        assert_eq!(fixture.look(), ["+p", "+q", "+v", "+x", "+z"]);
        fixture.write(
            "a.yaml",
            &(namespace("w") + "{apiVersion: v1, kind: Namespace}\n"),
        );
        fs::remove_file(fixture.tree.root.join("b.yaml")).unwrap();
        fixture.write("c.yaml", &namespace("q"));
        assert_eq!(fixture.look(), ["+w"]);
        let expect = "a.yaml:3: document 2: Namespace: metadata.name is missing";
        assert_eq!(fixture.problems(), [expect]);
        assert!(fixture.look().is_empty());
        fixture.write("a.yaml", &namespace("w"));
        assert_eq!(fixture.look(), ["-p", "-v", "-x", "-z"]);
        assert!(fixture.problems().is_empty());
    }

    #[test]
    fn a_broken_file_that_is_removed_is_broken_no_more() {
        let mut fixture = Fixture::new();
        fixture.write("a.yaml", &(namespace("x") + "---\nx: ["));
        fixture.write("b.yaml", &namespace("v"));
        assert_eq!(fixture.look(), ["+v", "+x"]);
        assert_eq!(fixture.problems().len(), 1);
        fs::remove_file(fixture.tree.root.join("a.yaml")).unwrap();
        assert_eq!(fixture.look(), ["-x"]);
        assert!(fixture.problems().is_empty());
    }

    #[test]
    fn a_file_that_is_no_text_is_a_problem() {
        let mut fixture = Fixture::new();
        fs::write(fixture.tree.root.join("a.yaml"), [0xff, 0xfe, 0x00]).unwrap();
        assert!(fixture.look().is_empty());
        assert_eq!(fixture.problems(), ["a.yaml: not text in UTF-8"]);
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
