//! Everything that the watches have said, and which of it is in the mesh.
//!
//! Istio takes no notice of namespaces that its discoverySelectors do not select. A namespace may enter or leave
//! the mesh by a label, so what is outside has to be remembered too.

use std::collections::{BTreeMap, BTreeSet};

use lazymesh_core::{Kind, Object, ObjectKey};

use crate::inventory::directory::Event;
use crate::inventory::kubernetes::selector::LabelSelector;

#[derive(Default)]
pub(crate) struct World {
    objects: BTreeMap<ObjectKey, Object>,
    selectors: Vec<LabelSelector>,
    events: Vec<Event>,
}

impl World {
    /// What changed in the mesh since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Everything in the mesh.
    pub(crate) fn visible(&self) -> Vec<Object> {
        let visible = self.objects.iter().filter(|(key, _)| self.is_visible(key));
        visible.map(|(_, object)| object.clone()).collect()
    }

    pub(crate) fn apply(&mut self, object: Object) {
        let key = object.key();
        if self.objects.get(&key) == Some(&object) {
            return;
        }
        let namespace = namespace_of(&key);
        let before = self.selects(namespace);
        self.objects.insert(key.clone(), object.clone());
        let after = self.selects(namespace);
        if before != after {
            self.move_namespace(namespace, after);
        } else if after {
            self.events.push(Event::Apply(object));
        }
    }

    pub(crate) fn remove(&mut self, key: &ObjectKey) {
        let namespace = namespace_of(key);
        let before = self.selects(namespace);
        if self.objects.remove(key).is_none() || !before {
            return;
        }
        self.events.push(Event::Remove(key.clone()));
        if !self.selects(namespace) {
            self.move_namespace(namespace, false);
        }
    }

    /// Removes what a complete list of a kind did not have.
    pub(crate) fn retain(&mut self, kind: Kind, listed: &BTreeSet<ObjectKey>) {
        let gone = |key: &&ObjectKey| key.kind == kind && !listed.contains(key);
        let gone: Vec<ObjectKey> = self.objects.keys().filter(gone).cloned().collect();
        for key in gone {
            self.remove(&key);
        }
    }

    /// Takes new discoverySelectors; a namespace is in the mesh if any of them selects it, or there are none.
    pub(crate) fn select(&mut self, selectors: Vec<LabelSelector>) {
        if selectors == self.selectors {
            return;
        }
        let before: BTreeSet<ObjectKey> = self.visible_keys();
        self.selectors = selectors;
        let after = self.visible_keys();
        let (gone, come) = (before.difference(&after), after.difference(&before));
        self.events.extend(gone.cloned().map(Event::Remove));
        let come = come.filter_map(|key| self.objects.get(key)).cloned();
        self.events.extend(come.map(Event::Apply));
    }

    /// Tells of everything in a namespace that enters the mesh, or leaves it.
    fn move_namespace(&mut self, namespace: &str, inside: bool) {
        let moved = self
            .objects
            .iter()
            .filter(|(key, _)| namespace_of(key) == namespace);
        self.events.extend(moved.map(|(key, object)| match inside {
            true => Event::Apply(object.clone()),
            false => Event::Remove(key.clone()),
        }));
    }

    fn visible_keys(&self) -> BTreeSet<ObjectKey> {
        self.objects
            .keys()
            .filter(|key| self.is_visible(key))
            .cloned()
            .collect()
    }

    fn is_visible(&self, key: &ObjectKey) -> bool {
        self.selects(namespace_of(key))
    }

    /// A namespace that is not known is in the mesh only where all are.
    fn selects(&self, namespace: &str) -> bool {
        if self.selectors.is_empty() {
            return true;
        }
        let key = ObjectKey {
            kind: Kind::Namespace,
            namespace: String::new(),
            name: namespace.to_owned(),
        };
        let Some(Object::Namespace(namespace)) = self.objects.get(&key) else {
            return false;
        };
        let labels = &namespace.metadata.labels;
        self.selectors
            .iter()
            .any(|selector| selector.matches(labels))
    }
}

fn namespace_of(key: &ObjectKey) -> &str {
    match key.kind {
        Kind::Namespace => &key.name,
        _ => &key.namespace,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn namespace(name: &str, mesh: &str) -> Object {
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": name, "labels": { "mesh": mesh } },
        });
        Object::from_value(object).unwrap().unwrap()
    }

    fn service(namespace: &str, name: &str) -> Object {
        let object = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": name, "namespace": namespace },
        });
        Object::from_value(object).unwrap().unwrap()
    }

    fn selectors(mesh: &str) -> Vec<LabelSelector> {
        serde_json::from_value(json!([{ "matchLabels": { "mesh": mesh } }])).unwrap()
    }

    #[track_caller]
    fn check(world: &mut World, expect: &[&str]) {
        let show = |event: &Event| match event {
            Event::Apply(object) => format!("+{}", object.key()),
            Event::Remove(key) => format!("-{key}"),
        };
        let mut found: Vec<_> = world.take_events().iter().map(show).collect();
        found.sort();
        assert_eq!(found, expect);
    }

    #[test]
    fn without_selectors_everything_is_in_the_mesh() {
        let mut world = World::default();
        world.apply(service("a", "x"));
        world.apply(service("a", "x"));
        check(&mut world, &["+Service a/x"]);
        world.remove(&service("a", "x").key());
        world.remove(&service("a", "x").key());
        check(&mut world, &["-Service a/x"]);
    }

    #[test]
    fn namespaces_enter_and_leave_by_their_labels() {
        let mut world = World::default();
        world.select(selectors("on"));
        world.apply(service("a", "x"));
        check(&mut world, &[]);
        world.apply(namespace("a", "on"));
        check(&mut world, &["+Namespace a", "+Service a/x"]);
        world.apply(service("a", "y"));
        check(&mut world, &["+Service a/y"]);
        world.apply(namespace("a", "off"));
        world.apply(service("a", "z"));
        world.remove(&service("a", "z").key());
        check(
            &mut world,
            &["-Namespace a", "-Service a/x", "-Service a/y"],
        );
        assert!(world.visible().is_empty());
        world.apply(namespace("a", "on"));
        world.take_events();
        world.remove(&namespace("a", "on").key());
        check(
            &mut world,
            &["-Namespace a", "-Service a/x", "-Service a/y"],
        );
    }

    #[test]
    fn selectors_may_change() {
        let mut world = World::default();
        for object in [
            namespace("a", "on"),
            service("a", "x"),
            namespace("b", "off"),
            service("b", "x"),
        ] {
            world.apply(object);
        }
        world.take_events();
        world.select(selectors("on"));
        check(&mut world, &["-Namespace b", "-Service b/x"]);
        world.select(selectors("off"));
        check(
            &mut world,
            &[
                "+Namespace b",
                "+Service b/x",
                "-Namespace a",
                "-Service a/x",
            ],
        );
        world.select(Vec::new());
        check(&mut world, &["+Namespace a", "+Service a/x"]);
    }

    #[test]
    fn a_list_removes_what_it_does_not_have() {
        let mut world = World::default();
        for object in [namespace("a", ""), service("a", "x"), service("a", "y")] {
            world.apply(object);
        }
        world.take_events();
        world.retain(Kind::Service, &[service("a", "y").key()].into());
        check(&mut world, &["-Service a/x"]);
    }
}
