//! Applies one change at a time: an object comes, looks different, or goes.

use super::affected::Affected;
use super::{Inventory, index};
use crate::names::ClusterId;
use crate::resource::{Kind, Mesh, Object, ObjectKey};

/// One change of what exists.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every change has an object, and is moved into the inventory at once"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The object is new, or looks different.
    Apply(Object),
    /// The object is gone.
    Remove(ObjectKey),
}

impl Change {
    /// The same change, in a cluster.
    #[must_use]
    pub fn in_cluster(self, cluster: &ClusterId) -> Self {
        match self {
            Self::Apply(object) => Self::Apply(object.in_cluster(cluster)),
            Self::Remove(key) => Self::Remove(key.in_cluster(cluster)),
        }
    }

    /// What names the object.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        match self {
            Self::Apply(object) => object.key(),
            Self::Remove(key) => key.clone(),
        }
    }
}

impl From<Object> for Change {
    fn from(object: Object) -> Self {
        Self::Apply(object)
    }
}

impl From<ObjectKey> for Change {
    fn from(key: ObjectKey) -> Self {
        Self::Remove(key)
    }
}

impl Inventory {
    /// Takes a change; what it affects is nothing where nothing that lazymesh reads differs.
    pub fn apply(&mut self, change: impl Into<Change>) -> Affected {
        let (key, new) = match change.into() {
            Change::Apply(object) => (object.key(), Some(object)),
            Change::Remove(key) => (key, None),
        };
        if self.objects.get(&key) == new.as_ref() {
            return Affected::default();
        }
        let mut affected = Affected::by(&key);
        affected.reach(self.reach(&key));
        let prefixes = self.prefixes.version;
        if key.kind == Kind::Namespace && new.is_none() {
            affected.subjects.extend(self.subjects_in(&key.name));
        }
        let old = self.objects.remove(&key);
        self.count_cluster(&key, old.is_some(), new.is_some());
        if let Some(old) = old.filter(|_| self.discovers(&key)) {
            index::of(&old).remove(self);
        }
        if key.kind == Kind::Namespace && self.discover(&key.name, new.as_ref()) {
            affected.hosts = true;
            affected.everything = true;
        }
        if let Some(new) = new {
            if self.discovers(&key) {
                index::of(&new).insert(self);
            }
            self.objects.insert(key.clone(), new);
        }
        affected.reach(self.reach(&key));
        affected.hosts |= self.prefixes.version != prefixes;
        affected
    }

    /// Takes another configuration of the mesh, by which everything is indexed anew.
    pub fn set_mesh(&mut self, mesh: Mesh) -> Affected {
        if self.mesh == mesh {
            return Affected::default();
        }
        let mut affected = Affected {
            changed: self.objects.len(),
            hosts: true,
            everything: true,
            ..Affected::default()
        };
        for namespace in self.namespaces() {
            affected.subjects.extend(self.subjects_in(namespace));
        }
        let objects = std::mem::take(&mut self.objects);
        *self = Self::new(mesh);
        for object in objects.into_values() {
            self.apply(object);
        }
        affected
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(kind: &str, namespace: &str, name: &str) -> Value {
        let version = match kind {
            "EndpointSlice" => "discovery.k8s.io/v1",
            "VirtualService" | "Sidecar" => "networking.istio.io/v1",
            _ => "v1",
        };
        json!({
            "apiVersion": version,
            "kind": kind,
            "metadata": { "namespace": namespace, "name": name },
        })
    }

    fn pod(name: &str, workload: &str, address: &str) -> Value {
        let mut pod = object("Pod", "shop", name);
        pod["metadata"]["labels"] = json!({ "service.istio.io/canonical-name": workload });
        pod["status"] = json!({ "podIP": address });
        pod
    }

    fn namespace(name: &str, mesh: &str) -> Value {
        let mut namespace = object("Namespace", "", name);
        namespace["metadata"]["labels"] = json!({ "mesh": mesh });
        namespace
    }

    fn apply(value: Value) -> Change {
        Change::Apply(Object::from_value(value).unwrap().unwrap())
    }

    fn gone(value: Value) -> Change {
        Change::Remove(apply(value).key())
    }

    fn inventory(objects: impl IntoIterator<Item = Value>) -> Inventory {
        let mut inventory = Inventory::new(Mesh::default());
        for value in objects {
            inventory.apply(apply(value));
        }
        inventory
    }

    #[track_caller]
    fn check(change: Change, expect: &[&str]) {
        let mut inventory = inventory([
            object("Namespace", "", "shop"),
            object("Service", "shop", "web"),
            pod("web-1", "web", "1.0.0.1"),
            pod("db-1", "db", "1.0.0.2"),
        ]);
        let affected = inventory.apply(change);
        let mut subjects: Vec<_> = affected.subjects.iter().map(ToString::to_string).collect();
        if affected.everything {
            subjects.push("everything".to_owned());
        }
        assert_eq!(subjects, expect);
    }

    #[test]
    fn only_what_a_change_can_touch_is_affected() {
        let all = ["everything"];
        check(apply(object("EndpointSlice", "shop", "web-x")), &[]);
        check(apply(pod("web-1", "web", "1.0.0.3")), &["shop", "shop/web"]);
        check(
            apply(pod("web-1", "front", "1.0.0.1")),
            &["shop", "shop/front", "shop/web"],
        );
        check(apply(object("VirtualService", "shop", "web")), &all);
        // Nothing that counts differs.
        check(apply(object("Service", "shop", "web")), &[]);
        check(apply(object("Sidecar", "shop", "mine")), &all);
        let mut ours = object("Sidecar", "shop", "lazymesh-web");
        ours["metadata"]["labels"] = json!({ "app.kubernetes.io/managed-by": "lazymesh" });
        check(apply(ours), &[]);
    }

    #[test]
    fn what_is_gone_may_have_a_sidecar_to_withdraw() {
        check(gone(pod("db-1", "db", "")), &["shop", "shop/db"]);
        check(
            gone(object("Namespace", "", "shop")),
            &["shop", "shop/db", "shop/web", "everything"],
        );
    }

    #[test]
    fn only_what_differs_counts() {
        let mut inventory = inventory([]);
        let mut check = |change: Change, changed, hosts| {
            let affected = inventory.apply(change);
            assert_eq!((affected.changed, affected.hosts), (changed, hosts));
        };
        let service = || object("Service", "shop", "web");
        check(apply(service()), 1, true);
        check(apply(service()), 0, false);
        check(apply(object("EndpointSlice", "shop", "web")), 1, false);
        check(gone(service()), 1, true);
        check(gone(service()), 0, false);
    }

    fn selecting(mesh: &str) -> Mesh {
        let selectors = json!([{ "matchLabels": { "mesh": mesh } }]);
        Mesh {
            discovery_selectors: serde_json::from_value(selectors).unwrap(),
            ..Mesh::default()
        }
    }

    /// The Services in the mesh, and its namespaces.
    #[track_caller]
    fn check_discovered(inventory: &Inventory, services: usize, namespaces: &[&str]) {
        let found: Vec<_> = inventory.namespaces().collect();
        assert_eq!(
            (inventory.services(), found.as_slice()),
            (services, namespaces)
        );
        let is_found = inventory.egress_host_of("a", "x").is_some();
        assert_eq!(is_found, namespaces.contains(&"a"));
    }

    #[test]
    fn namespaces_enter_and_leave_the_mesh_by_their_labels() {
        let mut inventory = Inventory::new(selecting("on"));
        inventory.apply(apply(object("Service", "a", "x")));
        check_discovered(&inventory, 0, &[]);
        let affected = inventory.apply(apply(namespace("a", "on")));
        assert!(affected.everything && affected.hosts);
        check_discovered(&inventory, 1, &["a"]);
        inventory.apply(apply(object("Service", "a", "y")));
        check_discovered(&inventory, 2, &["a"]);
        let affected = inventory.apply(apply(namespace("a", "off")));
        assert!(affected.everything && affected.hosts);
        let affected = inventory.apply(apply(object("Service", "a", "z")));
        assert!(!affected.everything, "nobody sees it");
        inventory.apply(gone(object("Service", "a", "z")));
        check_discovered(&inventory, 0, &[]);
        inventory.apply(apply(namespace("a", "on")));
        check_discovered(&inventory, 2, &["a"]);
        inventory.apply(gone(namespace("a", "on")));
        check_discovered(&inventory, 0, &[]);
        assert_eq!(inventory.len(), 2, "kept, should the namespace come back");
    }

    #[test]
    fn the_mesh_s_configuration_may_change() {
        let service = |namespace| object("Service", namespace, "x");
        let mut inventory = inventory([
            namespace("a", "on"),
            service("a"),
            namespace("b", "off"),
            service("b"),
        ]);
        check_discovered(&inventory, 2, &["a", "b"]);
        let affected = inventory.set_mesh(selecting("on"));
        assert!(affected.everything && affected.hosts);
        let subjects: Vec<_> = affected.subjects.iter().map(ToString::to_string).collect();
        assert_eq!(subjects, ["a", "b"], "what was there before may have to go");
        check_discovered(&inventory, 1, &["a"]);
        assert_eq!(inventory.set_mesh(selecting("on")), Affected::default());
        inventory.set_mesh(selecting("off"));
        check_discovered(&inventory, 1, &["b"]);
        inventory.set_mesh(Mesh::default());
        check_discovered(&inventory, 2, &["a", "b"]);
    }
}
