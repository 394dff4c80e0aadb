//! Names that only Istio's own DNS may know.
//!
//! Where sidecars answer DNS, the name table is scoped like everything else. A name that no other server knows would
//! never be dialled without it, so never be learned.

use std::collections::BTreeSet;

use super::Inventory;
use super::services::of_entry;
use crate::names::EgressHost;
use crate::object::{Object, ServiceEntry};

impl Inventory {
    /// Hosts of ServiceEntries that nothing shows to be in any other DNS than Istio's.
    #[must_use]
    pub fn hosts_of_istio_dns(&self) -> BTreeSet<EgressHost> {
        let entries = self.objects.values().filter_map(|object| match object {
            Object::ServiceEntry(entry) if !is_resolvable(entry) => Some(entry),
            _ => None,
        });
        entries.flat_map(of_entry).map(|host| host.egress).collect()
    }
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
            let found: Vec<_> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found, expect, "{entry}");
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
