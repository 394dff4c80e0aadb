//! Counts what the mesh's ports speak, from which follows the port anchor.

use std::collections::{BTreeMap, BTreeSet};

use super::protocol::Protocol;
use super::{Inventory, MeshService, Port};
use crate::names::EgressHost;

/// Ports on which the mesh speaks HTTP, or may speak it because Istio detects the protocol, with how many hosts do.
#[derive(Debug, Default)]
pub(crate) struct PortIndex {
    http: BTreeMap<u16, Hosts>,
}

/// How many hosts may speak HTTP on a port, and how many of them are declared to.
#[derive(Debug, Default)]
struct Hosts {
    all: usize,
    declared: usize,
}

impl PortIndex {
    pub(crate) fn insert(&mut self, service: &MeshService) {
        for port in http_ports(service) {
            let hosts = self.http.entry(port.number).or_default();
            hosts.all += 1;
            hosts.declared += usize::from(port.protocol == Protocol::Http);
        }
    }

    pub(crate) fn remove(&mut self, service: &MeshService) {
        for port in http_ports(service) {
            let Some(hosts) = self.http.get_mut(&port.number) else {
                continue;
            };
            hosts.all -= 1;
            hosts.declared -= usize::from(port.protocol == Protocol::Http);
            if hosts.all == 0 {
                self.http.remove(&port.number);
            }
        }
    }
}

/// Kubernetes takes no port 0; a manifest may have one.
fn http_ports(service: &MeshService) -> impl Iterator<Item = &Port> {
    let ports = service.ports.iter();
    ports.filter(|port| port.protocol.may_be_http() && port.number != 0)
}

impl Inventory {
    /// Ports on which the mesh speaks HTTP, or may speak it because Istio detects the protocol. What lazymesh
    /// itself put there, such as the port anchor, does not count.
    #[must_use]
    pub fn http_ports(&self) -> BTreeSet<u16> {
        self.ports.http.keys().copied().collect()
    }

    /// Whether the mesh declares HTTP on a port, for which Istio has a listener of all addresses.
    pub(crate) fn declares_http(&self, port: u16) -> bool {
        let hosts = self.ports.http.get(&port);
        hosts.is_some_and(|hosts| hosts.declared > 0)
    }

    /// Whether the port anchor has a port, so that its listener waits for what a client says first.
    pub(crate) fn anchors(&self, port: u16) -> bool {
        self.ports.http.contains_key(&port)
    }

    /// Every egress host of this very name, whatever its namespace.
    #[must_use]
    pub fn egress_hosts_named(&self, host: &str) -> BTreeSet<EgressHost> {
        let host = super::services::normalise(host);
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
