//! Keeps routes of the Gateway API with the ServiceEntries that they are attached to, whichever comes first.

use std::collections::BTreeMap;

use super::gamma::EntryHosts;
use super::namespaced::Namespaced;
use super::{Inventory, index};
use crate::resource::{Metadata, Object, ObjectKey};

/// Routes by the ServiceEntry that is their parent.
#[derive(Debug, Default)]
pub(crate) struct Attached {
    pub(super) hosts: EntryHosts,
    routes: Namespaced<BTreeMap<ObjectKey, Object>>,
}

impl Attached {
    pub(super) fn insert(&mut self, namespace: &str, entry: &str, route: Object) {
        let routes = self.routes.entry(namespace, entry);
        routes.insert(route.key(), route);
    }

    pub(super) fn remove(&mut self, namespace: &str, entry: &str, route: &ObjectKey) {
        let Some(routes) = self.routes.get_mut(namespace, entry) else {
            return;
        };
        routes.remove(route);
        if routes.is_empty() {
            self.routes.remove(namespace, entry);
        }
    }
}

impl Inventory {
    /// Gives the routes that are attached to a ServiceEntry its hosts as they are now; none where it is gone.
    pub(super) fn attach(&mut self, entry: &Metadata, hosts: Option<Vec<String>>) {
        let (namespace, name) = (&entry.namespace, &entry.name);
        let routes = self.attached.routes.get(namespace, name);
        let routes: Vec<_> = routes
            .into_iter()
            .flat_map(BTreeMap::values)
            .cloned()
            .collect();
        for route in &routes {
            index::of(route).remove(self);
        }
        match hosts {
            Some(hosts) => self.attached.hosts.insert(namespace, name, hosts),
            None => {
                self.attached.hosts.remove(namespace, name);
            }
        }
        for route in &routes {
            index::of(route).insert(self);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::resource::{Kind, Mesh};

    fn apply(inventory: &mut Inventory, value: &Value) {
        let object = Object::from_value(value.clone()).expect("well-formed");
        inventory.apply(object.expect("a kind that is read"));
    }

    #[test]
    fn a_route_rules_the_hosts_that_its_entry_has_now() {
        let route = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": { "name": "bank", "namespace": "shop" },
            "spec": { "parentRefs": [{ "group": "networking.istio.io", "kind": "ServiceEntry", "name": "bank" }] },
        });
        let entry = |host: &str| {
            json!({
                "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
                "metadata": { "name": "bank", "namespace": "shop" },
                "spec": { "hosts": [host, "*.test"], "ports": [{ "number": 80, "protocol": "HTTP" }] },
            })
        };
        let check = |inventory: &Inventory, expect: &[&str]| {
            let found = inventory.routes.under("", "shop");
            let found: Vec<_> = found.map(|(_, host)| host).collect();
            assert_eq!(found, expect);
        };
        for order in [[entry("a.test"), route.clone()], [route, entry("a.test")]] {
            let mut inventory = Inventory::new(Mesh::default());
            for object in &order {
                apply(&mut inventory, object);
            }
            check(&inventory, &["a.test"]);
            apply(&mut inventory, &entry("b.test"));
            check(&inventory, &["b.test"]);
            inventory.apply(ObjectKey::new(Kind::ServiceEntry, "shop", "bank"));
            check(&inventory, &[]);
            apply(&mut inventory, &entry("a.test"));
            inventory.apply(ObjectKey::new(Kind::HTTPRoute, "shop", "bank"));
            check(&inventory, &[]);
        }
    }
}
