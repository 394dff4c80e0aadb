//! Lists what the mesh's ports speak, from which follow the port anchor and the names that Istio knows on a port.

use std::collections::{BTreeMap, BTreeSet};

use super::protocol::Protocol;
use super::{Inventory, MeshService, Port};
use crate::names::EgressHost;

/// Ports on which the mesh speaks HTTP, or may speak it because Istio detects the protocol.
#[derive(Debug, Default)]
pub(crate) struct PortIndex {
    /// How many hosts do.
    http: BTreeMap<u16, usize>,
    /// The hosts for which Istio has a listener of all addresses there, with how many objects have each.
    shared: BTreeMap<u16, BTreeMap<EgressHost, usize>>,
    /// Ports whose listener of all addresses Istio gives to one protocol alone, with how many hosts may claim it.
    exclusive: BTreeMap<u16, usize>,
}

impl PortIndex {
    pub(crate) fn insert(&mut self, service: &MeshService) {
        for port in http_ports(service) {
            *self.http.entry(port.number).or_default() += 1;
            if is_shared(service, port) {
                let hosts = self.shared.entry(port.number).or_default();
                *hosts.entry(service.egress.clone()).or_default() += 1;
            }
        }
        for port in exclusive_ports(service) {
            *self.exclusive.entry(port).or_default() += 1;
        }
    }

    pub(crate) fn remove(&mut self, service: &MeshService) {
        for port in http_ports(service) {
            decrement(&mut self.http, &port.number);
            let hosts = self.shared.get_mut(&port.number);
            if let Some(hosts) = hosts.filter(|_| is_shared(service, port)) {
                decrement(hosts, &service.egress);
                if hosts.is_empty() {
                    self.shared.remove(&port.number);
                }
            }
        }
        for port in exclusive_ports(service) {
            decrement(&mut self.exclusive, &port);
        }
    }
}

fn decrement<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    let Some(count) = counts.get_mut(key) else {
        return;
    };
    *count -= 1;
    if *count == 0 {
        counts.remove(key);
    }
}

/// Kubernetes takes no port 0; a manifest may have one.
fn http_ports(service: &MeshService) -> impl Iterator<Item = &Port> {
    let ports = service.ports.iter().filter(|_| service.has_listeners());
    ports.filter(|port| port.protocol.may_be_http() && port.number != 0)
}

/// Whether the listener for a port of HTTP is one of all addresses, not of the host's own.
fn is_shared(service: &MeshService, port: &Port) -> bool {
    port.protocol.is_http() || service.is_open()
}

fn exclusive_ports(service: &MeshService) -> impl Iterator<Item = u16> {
    let ports = service.ports.iter().filter(|_| service.is_open());
    let ports = ports.filter(|port| port.protocol == Protocol::Exclusive);
    ports.map(|port| port.number)
}

impl Inventory {
    /// Ports on which the mesh speaks HTTP, or may speak it because Istio detects the protocol. What lazymesh
    /// itself put there, such as the port anchor, does not count, nor do ports that Istio gives to one protocol alone.
    #[must_use]
    pub fn http_ports(&self) -> BTreeSet<u16> {
        let ports = self.ports.http.keys().copied();
        ports.filter(|port| self.anchors(*port)).collect()
    }

    /// The ports whose listener of all addresses Istio gives to one protocol alone: to the older, of Mongo or MySQL without an address and
    /// of anything else.
    pub(crate) fn exclusive_ports(&self) -> impl Iterator<Item = u16> {
        self.ports.exclusive.keys().copied()
    }

    /// Whether a port is one of these.
    pub(crate) fn is_exclusive(&self, port: u16) -> bool {
        self.ports.exclusive.contains_key(&port)
    }

    /// The hosts of a port of which some may have a listener of all addresses there.
    pub(crate) fn hosts_on(&self, port: u16) -> impl Iterator<Item = &MeshService> {
        let shared = self.ports.shared.get(&port).into_iter();
        let shared = shared.flat_map(BTreeMap::keys);
        let shared = shared.filter_map(|host| self.services.get(host));
        let beyond = self.services.beyond_http();
        shared.chain(beyond.filter(move |service| service.has_port(port)))
    }

    /// Whether Istio has a listener of all addresses on a port, which tells requests by their names, in a client's full scope.
    pub(crate) fn tells_names(&self, port: u16, client: &str) -> bool {
        let hosts = self.ports.shared.get(&port).into_iter();
        hosts.flat_map(BTreeMap::keys).any(|host| {
            let owner = self.services.visible(&host.key(), client);
            owner.is_some_and(|owner| owner.namespace() == host.namespace)
        })
    }

    /// Whether the port anchor has a port, so that its listener waits for what a client says first.
    pub(crate) fn anchors(&self, port: u16) -> bool {
        self.ports.http.contains_key(&port) && !self.is_exclusive(port)
    }

    /// Every egress host of this very name, whatever its namespace.
    #[must_use]
    pub fn egress_hosts_named(&self, host: &str) -> BTreeSet<EgressHost> {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let services = self.services.named(&host);
        services.map(|service| service.egress.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Kind;
    use crate::resource::{Mesh, Object, ObjectKey};

    fn service(name: &str, labels: Value, ports: Value) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": name, "namespace": "shop", "labels": labels },
            "spec": { "clusterIP": "10.0.0.1", "ports": ports },
        })
    }

    fn inventory() -> Inventory {
        let mut inventory = Inventory::new(Mesh::default());
        let ours = json!({ "app.kubernetes.io/managed-by": "lazymesh" });
        for value in [
            service(
                "web",
                json!({}),
                json!([{ "port": 80, "name": "http" }, { "port": 9000 }]),
            ),
            service(
                "db",
                json!({}),
                json!([{ "port": 80, "name": "tcp-db" }, { "port": 5432, "name": "tcp" }]),
            ),
            service(
                "dns",
                json!({}),
                json!([{ "port": 5353, "protocol": "UDP" }]),
            ),
            service(
                "lazymesh-ports",
                ours,
                json!([{ "port": 81, "name": "http-81" }]),
            ),
            json!({
                "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
                "metadata": { "name": "out", "namespace": "shop" },
                "spec": { "hosts": ["a.example"], "ports": [
                    { "number": 8080, "protocol": "HTTP" }, { "number": 9000, "protocol": "TLS" },
                ] },
            }),
        ] {
            inventory.apply(Object::from_value(value).unwrap().unwrap());
        }
        inventory
    }

    #[test]
    fn the_anchor_s_ports_are_those_of_others() {
        let mut inventory = inventory();
        assert_eq!(inventory.http_ports(), [80, 8080, 9000].into());
        inventory.apply(ObjectKey::new(Kind::ServiceEntry, "shop", "out"));
        assert_eq!(inventory.http_ports(), [80, 9000].into());
        inventory.apply(ObjectKey::new(Kind::Service, "shop", "web"));
        assert!(inventory.http_ports().is_empty());
    }

    #[test]
    fn hosts_are_found_by_name() {
        let hosts = inventory().egress_hosts_named("A.example.");
        assert_eq!(
            hosts,
            [EgressHost::new("shop", "a.example").unwrap()].into()
        );
    }
}
