//! Which file says what, and what that means for the mesh as a whole.
//!
//! When files disagree about an object, the last one counts, in the order of paths: the same files mean the
//! same mesh, in whatever order they were written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lazymesh_core::{Change, Object, ObjectKey};

use crate::inventory::directory::Problem;

#[derive(Default)]
pub(crate) struct Catalog {
    files: BTreeMap<PathBuf, BTreeMap<ObjectKey, Object>>,
    definitions: BTreeMap<ObjectKey, BTreeSet<PathBuf>>,
    /// Objects that one file defines more than once.
    repeated: BTreeMap<PathBuf, BTreeSet<ObjectKey>>,
}

impl Catalog {
    /// Puts these objects in the place of what the file said before. No objects: the file is forgotten.
    pub(crate) fn replace(&mut self, path: &Path, objects: Vec<Object>) -> Vec<Change> {
        let mut new = BTreeMap::new();
        let mut repeated = BTreeSet::new();
        for object in objects {
            let key = object.key();
            if new.insert(key.clone(), object).is_some() {
                repeated.insert(key);
            }
        }
        self.note_repeated(path, repeated);

        let old_keys = self.files.get(path).into_iter().flat_map(BTreeMap::keys);
        let keys: BTreeSet<ObjectKey> = old_keys.chain(new.keys()).cloned().collect();
        let before: Vec<Option<Object>> =
            keys.iter().map(|key| self.current(key).cloned()).collect();
        self.define(path, new, &keys);
        keys.into_iter()
            .zip(before)
            .filter_map(|(key, before)| self.change(key, before))
            .collect()
    }

    /// As [`Catalog::replace`], and what else the file said before stays.
    pub(crate) fn add(&mut self, path: &Path, objects: Vec<Object>) -> Vec<Change> {
        let new: BTreeSet<ObjectKey> = objects.iter().map(Object::key).collect();
        let before = self.files.get(path).into_iter().flatten();
        let kept = before.filter(|(key, _)| !new.contains(*key));
        let kept: Vec<Object> = kept.map(|(_, object)| object.clone()).collect();
        self.replace(path, kept.into_iter().chain(objects).collect())
    }

    /// Every object as it counts, in the order of keys.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.definitions.keys().filter_map(|key| self.current(key))
    }

    /// Definitions that do not count.
    pub(crate) fn overridden(&self) -> impl Iterator<Item = Problem> {
        let across = self.definitions.iter().flat_map(|(key, paths)| {
            let last = paths.last();
            paths
                .iter()
                .zip(last.into_iter().cycle())
                .filter(|(path, by)| path != by)
                .map(|(path, by)| overridden(key, path, by))
        });
        let within = self
            .repeated
            .iter()
            .flat_map(|(path, keys)| keys.iter().map(move |key| overridden(key, path, path)));
        across.chain(within)
    }

    fn current(&self, key: &ObjectKey) -> Option<&Object> {
        let path = self.definitions.get(key)?.last()?;
        self.files.get(path)?.get(key)
    }

    fn define(
        &mut self,
        path: &Path,
        new: BTreeMap<ObjectKey, Object>,
        keys: &BTreeSet<ObjectKey>,
    ) {
        for key in keys {
            let paths = self.definitions.entry(key.clone()).or_default();
            if new.contains_key(key) {
                paths.insert(path.to_owned());
            } else {
                paths.remove(path);
            }
            if paths.is_empty() {
                self.definitions.remove(key);
            }
        }
        if new.is_empty() {
            self.files.remove(path);
        } else {
            self.files.insert(path.to_owned(), new);
        }
    }

    fn change(&self, key: ObjectKey, before: Option<Object>) -> Option<Change> {
        match (before, self.current(&key)) {
            (Some(before), Some(now)) if before == *now => None,
            (_, Some(now)) => Some(Change::Apply(now.clone())),
            (Some(_), None) => Some(Change::Remove(key)),
            (None, None) => None,
        }
    }

    fn note_repeated(&mut self, path: &Path, keys: BTreeSet<ObjectKey>) {
        if keys.is_empty() {
            self.repeated.remove(path);
        } else {
            self.repeated.insert(path.to_owned(), keys);
        }
    }
}

fn overridden(key: &ObjectKey, path: &Path, by: &Path) -> Problem {
    Problem::Overridden {
        key: key.clone(),
        path: path.to_owned(),
        by: by.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(name: &str, label: &str) -> Object {
        let value = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"clusterIP": label},
        });
        Object::from_value(value).unwrap().unwrap()
    }

    fn shown(changes: Vec<Change>) -> Vec<String> {
        let show = |change| match change {
            Change::Apply(object @ Object::Service(_)) => {
                let versions = ["10.0.0.1", "10.0.0.2"];
                let key = object.key();
                let version = versions.iter().find(|ip| service(&key.name, ip) == object);
                format!("+{}={}", key.name, version.unwrap())
            }
            Change::Apply(object) => format!("+{}", object.key()),
            Change::Remove(key) => format!("-{}", key.name),
        };
        changes.into_iter().map(show).collect()
    }

    const ONE: &str = "10.0.0.1";
    const TWO: &str = "10.0.0.2";

    #[test]
    fn only_differences_are_told() {
        let mut catalog = Catalog::default();
        let mut check = |objects: &[(&str, &str)], expect: &[&str]| {
            let objects = objects.iter().map(|(name, ip)| service(name, ip)).collect();
            let changes = catalog.replace(Path::new("a.yaml"), objects);
            assert_eq!(shown(changes), expect);
        };
        check(&[("a", ONE), ("b", ONE)], &["+a=10.0.0.1", "+b=10.0.0.1"]);
        check(&[("b", ONE), ("a", ONE)], &[]);
        check(
            &[("b", TWO), ("c", ONE)],
            &["-a", "+b=10.0.0.2", "+c=10.0.0.1"],
        );
        check(&[], &["-b", "-c"]);
        check(&[], &[]);
    }

    #[test]
    fn the_last_path_counts_in_whatever_order_files_come() {
        let mut catalog = Catalog::default();
        let mut check = |path: &str, version: Option<&str>, expect: &[&str]| {
            let objects = version.map(|ip| service("a", ip)).into_iter().collect();
            let changes = catalog.replace(Path::new(path), objects);
            assert_eq!(shown(changes), expect, "{path}");
            catalog.overridden().count()
        };
        assert_eq!(check("2.yaml", Some(TWO), &["+a=10.0.0.2"]), 0);
        assert_eq!(check("1.yaml", Some(ONE), &[]), 1);
        assert_eq!(check("2.yaml", None, &["+a=10.0.0.1"]), 0);
        assert_eq!(check("2.yaml", Some(ONE), &[]), 1);
        assert_eq!(check("1.yaml", None, &[]), 0);
        assert_eq!(check("2.yaml", None, &["-a"]), 0);
        assert_eq!(catalog.objects().count(), 0);
    }

    #[test]
    fn a_file_that_repeats_itself_is_reported() {
        let mut catalog = Catalog::default();
        let path = Path::new("a.yaml");
        let changes = catalog.replace(path, vec![service("a", ONE), service("a", TWO)]);
        assert_eq!(shown(changes), ["+a=10.0.0.2"]);
        let problems: Vec<_> = catalog
            .overridden()
            .map(|problem| problem.to_string())
            .collect();
        assert_eq!(
            problems,
            ["Service shop/a in a.yaml is overridden by a.yaml"]
        );
        catalog.replace(path, vec![service("a", ONE)]);
        assert_eq!(catalog.overridden().count(), 0);
    }
}
