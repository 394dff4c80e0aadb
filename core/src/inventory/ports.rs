//! What the port anchor follows from: on which ports HTTP is spoken, and what suffers where it is not.

use std::collections::BTreeSet;

use super::protocol::Protocol;
use super::services::{of_entry, of_service};
use super::{Inventory, MANAGED_BY, MeshService};
use crate::names::EgressHost;
use crate::object::Object;

impl Inventory {
    /// Ports on which the mesh speaks HTTP, or may speak it because Istio detects the protocol. What lazymesh
    /// itself put there, such as the port anchor, does not count.
    #[must_use]
    pub fn http_ports(&self) -> BTreeSet<u16> {
        let mut ports = BTreeSet::new();
        self.for_each_host(|host| {
            let http = host
                .ports
                .iter()
                .filter(|port| port.protocol != Protocol::Tcp);
            ports.extend(http.map(|port| port.number));
        });
        // Kubernetes takes no port 0; a manifest may have one.
        ports.remove(&0);
        ports
    }

    /// The TCP ports of an egress host; none if there is no such host.
    #[must_use]
    pub fn tcp_ports(&self, host: &EgressHost) -> BTreeSet<u16> {
        let ports = self
            .services
            .get(host)
            .into_iter()
            .flat_map(|host| &host.ports);
        ports.map(|port| port.number).collect()
    }

    /// Hosts that speak something else than HTTP on one of these ports. A port anchor's listener waits there for
    /// the client's first bytes, so a server that speaks first must not be left to it.
    #[must_use]
    pub fn tcp_hosts_on(&self, ports: &BTreeSet<u16>) -> BTreeSet<EgressHost> {
        let mut hosts = BTreeSet::new();
        self.for_each_host(|host| {
            let mut tcp = host
                .ports
                .iter()
                .filter(|port| port.protocol == Protocol::Tcp);
            if tcp.any(|port| ports.contains(&port.number)) {
                hosts.insert(host.egress);
            }
        });
        hosts
    }

    /// Every egress host of this very name, whatever its namespace.
    #[must_use]
    pub fn egress_hosts_named(&self, host: &str) -> BTreeSet<EgressHost> {
        let host = super::services::normalise(host);
        let services = self.services.named(&host);
        services.map(|service| service.egress.clone()).collect()
    }

    fn for_each_host(&self, mut visit: impl FnMut(MeshService)) {
        for object in self.objects.values() {
            match object {
                Object::Service(service) => {
                    let labels = &service.metadata.labels;
                    if labels
                        .get(MANAGED_BY.0)
                        .is_none_or(|owner| owner != MANAGED_BY.1)
                    {
                        of_service(service, &self.mesh)
                            .into_iter()
                            .for_each(&mut visit);
                    }
                }
                Object::ServiceEntry(entry) => of_entry(entry, &self.mesh).for_each(&mut visit),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::mesh::Mesh;

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
        assert_eq!(inventory().http_ports(), [80, 8080, 9000].into());
    }

    #[test]
    fn what_is_not_http_on_such_a_port_is_found() {
        let inventory = inventory();
        let hosts = inventory.tcp_hosts_on(&inventory.http_ports());
        let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        assert_eq!(hosts, ["shop/a.example", "shop/db.shop.svc.cluster.local"]);
        assert!(inventory.tcp_hosts_on(&[81].into()).is_empty());
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
