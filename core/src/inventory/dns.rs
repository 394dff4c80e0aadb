//! Indexes names that only Istio's own DNS may know.
//!
//! Where sidecars answer DNS, the name table is scoped like everything else. A name that no other server knows would
//! never be dialled without it, so never be learned.

use std::collections::BTreeMap;

use super::Inventory;
use super::mesh_service::of_entry;
use crate::names::EgressHost;
use crate::resource::Mesh;
use crate::resource::ServiceEntry;

/// Hosts of ServiceEntries that nothing shows to be in any other DNS than Istio's, with how many entries have them.
#[derive(Debug, Default)]
pub(crate) struct DnsIndex {
    hosts: BTreeMap<EgressHost, usize>,
}

impl DnsIndex {
    pub(crate) fn insert(&mut self, entry: &ServiceEntry, mesh: &Mesh) {
        for host in of_istio(entry, mesh) {
            *self.hosts.entry(host).or_default() += 1;
        }
    }

    pub(crate) fn remove(&mut self, entry: &ServiceEntry, mesh: &Mesh) {
        for host in of_istio(entry, mesh) {
            let Some(count) = self.hosts.get_mut(&host) else {
                continue;
            };
            *count -= 1;
            if *count == 0 {
                self.hosts.remove(&host);
            }
        }
    }
}

impl Inventory {
    /// Hosts of ServiceEntries that nothing shows to be in any other DNS than Istio's, sorted.
    pub fn hosts_of_istio_dns(&self) -> impl Iterator<Item = &EgressHost> {
        self.dns.hosts.keys()
    }
}

fn of_istio(entry: &ServiceEntry, mesh: &Mesh) -> impl Iterator<Item = EgressHost> {
    let entry = Some(entry).filter(|entry| !is_resolvable(entry));
    let services = entry.into_iter().flat_map(|entry| of_entry(entry, mesh));
    services.map(|service| service.egress)
}

/// Without an address Istio does not answer for the name, and where Envoy itself asks DNS for the very host, so can
/// the application.
fn is_resolvable(entry: &ServiceEntry) -> bool {
    let spec = &entry.spec;
    match spec.resolution.as_str() {
        "" | "NONE" => spec.addresses.is_empty(),
        "STATIC" => false,
        _ => !spec.endpoints,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::resource::Object;

    #[test]
    fn names_that_only_istio_knows() {
        let check = |spec: Value, expect: bool| {
            let mut inventory = Inventory::default();
            let mut entry = json!({
                "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
                "metadata": { "name": "a", "namespace": "shop" }, "spec": spec,
            });
            entry["spec"]["hosts"] = json!(["db.internal"]);
            inventory.apply(Object::from_value(entry.clone()).unwrap().unwrap());
            let expect: Vec<_> = expect
                .then(|| "shop/db.internal".to_owned())
                .into_iter()
                .collect();
            let found = inventory.hosts_of_istio_dns();
            let found: Vec<_> = found.map(ToString::to_string).collect();
            assert_eq!(found, expect, "{entry}");
            let entry = Object::from_value(entry).unwrap().unwrap();
            inventory.apply(entry.key());
            assert_eq!(inventory.hosts_of_istio_dns().count(), 0);
        };
        let endpoints = || json!([{ "address": "10.0.0.1" }]);
        check(json!({}), false);
        check(json!({ "addresses": ["10.0.0.9"] }), true);
        check(
            json!({ "resolution": "STATIC", "endpoints": endpoints() }),
            true,
        );
        check(json!({ "resolution": "DNS" }), false);
        check(
            json!({ "resolution": "DNS", "endpoints": endpoints() }),
            true,
        );
    }
}
