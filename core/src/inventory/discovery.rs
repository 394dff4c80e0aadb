//! Selects the namespaces that are in the mesh.
//!
//! Istio takes no notice of namespaces that its discoverySelectors do not select. A namespace may enter or leave the
//! mesh by a label, so what is outside is kept, but not indexed.

use std::collections::BTreeMap;

use super::{Inventory, index};
use crate::resource::{Kind, Object, ObjectKey};

impl Inventory {
    /// Whether an object is in the mesh. A namespace that is not known is so only where all are.
    pub(super) fn discovers(&self, key: &ObjectKey) -> bool {
        let namespace = match key.kind {
            Kind::Namespace => &key.name,
            _ => &key.namespace,
        };
        self.selects(namespace)
    }

    /// An object in the mesh.
    pub(super) fn object(&self, key: &ObjectKey) -> Option<&Object> {
        self.objects.get(key).filter(|_| self.discovers(key))
    }

    /// Takes what a Namespace is now; whether that brings everything in it into the mesh, or out of it.
    pub(super) fn discover(&mut self, namespace: &str, object: Option<&Object>) -> bool {
        let was_selected = self.selects(namespace);
        let labels = object.map(|object| &object.metadata().labels);
        let mut selectors = self.mesh.discovery_selectors.iter();
        let is_selected =
            labels.is_some_and(|labels| selectors.any(|selector| selector.matches(labels)));
        if is_selected {
            self.discovered.insert(namespace.to_owned());
        } else {
            self.discovered.remove(namespace);
        }
        let moves = was_selected != self.selects(namespace);
        if moves {
            self.move_namespace(namespace, is_selected);
        }
        moves
    }

    fn selects(&self, namespace: &str) -> bool {
        self.mesh.discovery_selectors.is_empty() || self.discovered.contains(namespace)
    }

    fn move_namespace(&mut self, namespace: &str, into_mesh: bool) {
        let objects = std::mem::take(&mut self.objects);
        for object in objects_in(&objects, namespace) {
            let indexed = index::of(object);
            if into_mesh {
                indexed.insert(self);
            } else {
                indexed.remove(self);
            }
        }
        self.objects = objects;
    }
}

fn objects_in<'a>(
    objects: &'a BTreeMap<ObjectKey, Object>,
    namespace: &'a str,
) -> impl Iterator<Item = &'a Object> {
    Kind::ALL.iter().flat_map(move |&kind| {
        let from = ObjectKey::new(kind, namespace, "");
        let of_kind = objects.range(from..);
        of_kind
            .take_while(move |(key, _)| key.kind == kind && key.namespace == namespace)
            .map(|(_, object)| object)
    })
}
