//! Covers the addresses of the mesh with few prefixes, by which filters tell a connection of the mesh from others.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use lazymesh_protocol::MAX_MESH_PREFIXES;

use super::{Form, Inventory, MeshService};
use crate::resource::EndpointSlice;

/// Lengths of the prefixes, of IPv4 and IPv6, that single addresses are widened to, so that the whole changes seldom.
/// Kubernetes gives a cluster's Services few ranges, and a node's pods one of its own, mostly a /24. Most nodes that come must
/// change nothing: with a new prefix istiod sends every sidecar all its listeners again.
const OF_SERVICES: (u8, u8) = (16, 64);
const OF_ENDPOINTS: (u8, u8) = (20, 64);
const OF_OTHERS: (u8, u8) = (24, 64);

/// Blocks of addresses, with how many objects have them.
#[derive(Debug, Default)]
pub(crate) struct PrefixIndex {
    blocks: BTreeMap<IpNet, usize>,
    /// Moves whenever a block comes or goes.
    pub(crate) version: u64,
}

impl PrefixIndex {
    pub(crate) fn insert(&mut self, blocks: impl IntoIterator<Item = IpNet>) {
        for block in blocks {
            let count = self.blocks.entry(block).or_default();
            self.version += u64::from(*count == 0);
            *count += 1;
        }
    }

    pub(crate) fn remove(&mut self, blocks: impl IntoIterator<Item = IpNet>) {
        for block in blocks {
            let Some(count) = self.blocks.get_mut(&block) else {
                continue;
            };
            *count -= 1;
            if *count == 0 {
                self.blocks.remove(&block);
                self.version += 1;
            }
        }
    }
}

impl Inventory {
    /// Prefixes, at most [`MAX_MESH_PREFIXES`], that hold all addresses of Services, of their endpoints, and of
    /// ServiceEntries. They may hold others, too.
    #[must_use]
    pub fn mesh_prefixes(&self) -> Vec<IpNet> {
        cover(self.prefixes.blocks.keys().copied().collect())
    }
}

/// The blocks of a host's own addresses.
pub(super) fn of_service(service: &MeshService) -> impl Iterator<Item = IpNet> {
    let lengths = match service.form {
        Form::ClusterIp => OF_SERVICES,
        _ => OF_OTHERS,
    };
    let own = service.addresses().iter();
    own.map(move |block| widen(*block, lengths))
}

/// The blocks of endpoints' addresses.
pub(super) fn of_slice(slice: &EndpointSlice) -> impl Iterator<Item = IpNet> {
    let addresses = slice.endpoints.iter().flat_map(|it| &it.addresses);
    let addresses = addresses.filter_map(|text| text.parse::<IpAddr>().ok());
    addresses.map(|address| widen(address.into(), OF_ENDPOINTS))
}

/// A block as it is; a single address with its neighbours.
fn widen(block: IpNet, (v4, v6): (u8, u8)) -> IpNet {
    if block.prefix_len() < block.max_prefix_len() {
        return block;
    }
    let length = if block.addr().is_ipv4() { v4 } else { v6 };
    IpNet::new(block.addr(), length).map_or(block, |wide| wide.trunc())
}

/// The smallest of these grow, as long as there are too many.
fn cover(blocks: Vec<IpNet>) -> Vec<IpNet> {
    let free = |block: &IpNet| block.max_prefix_len() - block.prefix_len();
    let mut blocks = IpNet::aggregate(&blocks);
    while blocks.len() > MAX_MESH_PREFIXES {
        // All of IPv4 grows no more.
        let growing = blocks.iter().filter(|block| block.prefix_len() > 0);
        let least = growing.map(free).min();
        let grown = blocks.iter().map(|block| match block.supernet() {
            Some(wider) if Some(free(block)) == least => wider,
            _ => *block,
        });
        blocks = IpNet::aggregate(&grown.collect());
    }
    blocks
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::resource::{Mesh, Object};

    fn check(objects: impl IntoIterator<Item = Value>, expect: &[&str]) {
        let mut inventory = Inventory::new(Mesh::default());
        for object in objects {
            inventory.apply(Object::from_value(object).unwrap().unwrap());
        }
        let found = inventory.mesh_prefixes();
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, expect);
    }

    fn service(name: &str, addresses: &[&str]) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": name, "namespace": "shop" },
            "spec": { "clusterIP": addresses[0], "clusterIPs": addresses, "ports": [{ "port": 80 }] },
        })
    }

    fn slice(service: &str, addresses: &[&str]) -> Value {
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": { "name": service, "namespace": "shop", "labels": { "kubernetes.io/service-name": service } },
            "endpoints": [{ "addresses": addresses }],
        })
    }

    fn entry(name: &str, addresses: &[&str]) -> Value {
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
            "metadata": { "name": name, "namespace": "shop" },
            "spec": { "hosts": [format!("{name}.example")], "addresses": addresses,
                "ports": [{ "number": 5432, "protocol": "TCP" }] },
        })
    }

    #[test]
    fn addresses_that_decisions_are_about_are_covered() {
        check([], &[]);
        check([service("a", &["10.96.3.4"])], &["10.96.0.0/16"]);
        check(
            [service("a", &["10.96.3.4", "fd00::7"])],
            &["10.96.0.0/16", "fd00::/64"],
        );
        check(
            [service("a", &["10.96.0.1"]), service("b", &["10.97.0.1"])],
            &["10.96.0.0/15"],
        );
        check(
            [
                service("a", &["None"]),
                slice("a", &["10.244.1.7", "10.244.3.7", "10.244.33.7"]),
            ],
            &["10.244.0.0/20", "10.244.32.0/20"],
        );
        check(
            [service("a", &["10.96.0.1"]), slice("a", &["10.244.1.7"])],
            &["10.96.0.0/16", "10.244.0.0/20"],
        );
        check(
            [entry("a", &["192.0.2.7", "198.51.100.0/25"])],
            &["192.0.2.0/24", "198.51.100.0/25"],
        );
    }

    #[test]
    fn what_goes_takes_its_prefix_with_it_and_is_told() {
        let mut inventory = Inventory::new(Mesh::default());
        let mut check = |change: Value, removed: bool, hosts: bool, expect: &[&str]| {
            let object = Object::from_value(change).unwrap().unwrap();
            let affected = match removed {
                true => inventory.apply(object.key()),
                false => inventory.apply(object),
            };
            assert_eq!(affected.hosts, hosts);
            let found = inventory.mesh_prefixes();
            let found: Vec<_> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found, expect);
        };
        let one = ["10.244.0.0/20"];
        check(slice("a", &["10.244.1.7"]), false, true, &one);
        check(slice("b", &["10.244.7.8"]), false, false, &one);
        check(slice("a", &["10.244.1.9"]), false, false, &one);
        check(slice("b", &[]), true, false, &one);
        check(slice("a", &[]), true, true, &[]);
    }

    #[test]
    fn few_prefixes_cover_many_addresses() {
        let blocks: Vec<IpNet> = (0..5_000_u32)
            .map(|at| IpAddr::V4((at.wrapping_mul(2_654_435_761)).into()).into())
            .chain((0..1_000_u128).map(|at| IpAddr::V6((at << 70).into()).into()))
            .collect();
        let covering = cover(blocks.clone());
        assert!(covering.len() <= MAX_MESH_PREFIXES, "{}", covering.len());
        for block in &blocks {
            assert!(covering.iter().any(|it| it.contains(block)), "{block}");
        }
    }
}
