//! What has to come along with an egress host, so that it works as in a full scope.
//!
//! Nothing is followed further than istiod follows it: a route's destinations are clusters, whose own
//! VirtualServices do not apply. So no loop of manifests can make this run long.

use std::collections::BTreeSet;

use crate::inventory::{Inventory, MeshService};
use crate::names::EgressHost;
use crate::resolve::concrete;

/// Adds what a client needs besides `host` itself.
pub(super) fn extend(
    inventory: &Inventory,
    client: &str,
    host: &EgressHost,
    hosts: &mut BTreeSet<EgressHost>,
) {
    follow_routes(inventory, client, host, hosts);
    let service = inventory.services.get(host);
    if let Some(behind) =
        service.and_then(|service| follow_alias(inventory, client, service, hosts))
    {
        follow_routes(inventory, client, &behind.egress, hosts);
    }
}

/// The VirtualServices that rule a host, and where they send. istiod imports a VirtualService by an entry of its
/// own namespace, with its host or one that its host covers.
fn follow_routes(
    inventory: &Inventory,
    client: &str,
    host: &EgressHost,
    hosts: &mut BTreeSet<EgressHost>,
) {
    let key = host.key();
    for route in inventory.routes.covering(&key, client) {
        hosts.extend(EgressHost::new(
            route.namespace.as_str(),
            host.host.as_str(),
        ));
        for destination in inventory.routes.destinations(route) {
            if let Some(service) = inventory.services.visible(destination, client) {
                hosts.insert(service.egress.clone());
                follow_alias(inventory, client, service, hosts);
            }
        }
    }
}

/// The service behind an ExternalName, and its name there: istiod keeps an alias of a service only if an entry
/// of the *service's* namespace has the alias as its host (`matchingAliasService`).
fn follow_alias<'a>(
    inventory: &'a Inventory,
    client: &str,
    service: &'a MeshService,
    hosts: &mut BTreeSet<EgressHost>,
) -> Option<&'a MeshService> {
    let behind =
        concrete(inventory, service, client).filter(|behind| behind.egress != service.egress)?;
    hosts.insert(behind.egress.clone());
    hosts.extend(EgressHost::new(behind.namespace(), service.host()));
    Some(behind)
}
