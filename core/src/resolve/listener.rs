//! Finds the listener that Istio has, in a full scope, for what was dialled.

use std::net::SocketAddr;

use lazymesh_protocol::Protocol;

use super::alias::concrete;
use super::question::Question;
use crate::inventory::{Form, Inventory, MeshService, Spoken, ToldBy};
use crate::names::{EgressHost, Host};

/// The service whose own listener takes a question, whatever name it says: that of the address that was dialled, but for ports
/// that are declared to speak HTTP, to which requests come by name.
pub(super) fn owner<'a>(inventory: &'a Inventory, question: &Question) -> Option<&'a MeshService> {
    let (destination, client) = (question.destination?, &question.source.namespace);
    let number = destination.port();
    let cluster = inventory.cluster_of(&question.cluster);
    let found = (inventory.services).at(cluster, destination.ip(), number, client);
    let of_address = found.and_then(|(service, own)| {
        let port = service.ports.iter().find(|port| port.number == number)?;
        let is_request = question.protocol == Protocol::Http;
        let by_name = is_request && port.protocol.is_http();
        let by_block =
            is_request && port.protocol != Spoken::Tls && !inventory.tells_names(number, client);
        ((own || by_block) && !by_name).then_some(service)
    });
    of_address
        .or_else(|| headless(inventory, question, destination))
        .or_else(|| open(inventory, question, number))
}

/// The service without an address that takes all connections to a port, where Istio has no listener there that reads requests.
fn open<'a>(inventory: &'a Inventory, question: &Question, port: u16) -> Option<&'a MeshService> {
    let client = &question.source.namespace;
    if question.protocol != Protocol::Http || inventory.tells_names(port, client) {
        return None;
    }
    let found = inventory.services.beyond_http();
    let found = found.filter(|service| service.open_ports().any(|own| own == port));
    let found = found.filter(|service| inventory.services.owns(service, client));
    found.min_by(|one, other| one.place(client).cmp(&other.place(client)))
}

/// The headless service that has an endpoint at an address. Istio gives each of its endpoints a listener on the service's port, be
/// the endpoint's own another.
fn headless<'a>(
    inventory: &'a Inventory,
    question: &Question,
    dialled: SocketAddr,
) -> Option<&'a MeshService> {
    let client = &question.source.namespace;
    let cluster = inventory.cluster_of(&question.cluster);
    let endpoints = inventory.endpoints.get(cluster)?;
    let found = endpoints
        .services_at(dialled.ip())
        .filter_map(|(namespace, name)| {
            let egress = EgressHost {
                namespace: namespace.to_owned(),
                host: format!("{name}.{namespace}.svc.{}", inventory.mesh().cluster_domain),
            };
            let service = inventory.services.get(&egress)?;
            let mut ports = service.ports_beyond_http();
            let port = ports.find(|port| port.number == dialled.port())?;
            let is_there = service.form == Form::Headless
                && inventory.services.owns(service, client)
                && endpoints.serves(namespace, name, dialled.ip(), &port.name);
            is_there.then_some(service)
        });
    found.min_by(|one, other| one.place(client).cmp(&other.place(client)))
}

/// Whether Istio knows a service by its name where it was dialled: requests where a listener of all addresses reads them, and
/// connections whose addresses are not told apart otherwise.
pub(super) fn knows(inventory: &Inventory, question: &Question, service: &MeshService) -> bool {
    let client = &question.source.namespace;
    let (Some(dialled), Some(behind)) =
        (question.destination, concrete(inventory, service, client))
    else {
        return true;
    };
    if question.protocol != Protocol::Http {
        let named = question.authority.as_ref();
        if named.is_some_and(|authority| authority.absolute) {
            // No server's name ends with a dot.
            return false;
        }
        let mut owners = inventory.services.named(behind.key());
        return match behind.told_by {
            ToldBy::Block => behind.covers(dialled.ip()),
            _ if !behind.has_own_listeners() => true,
            _ => owners.any(|owner| owner.has_address(dialled.ip())),
        };
    }
    let address = question.authority.as_ref().map(|named| &named.host);
    let owner = virtual_host(inventory, behind, dialled.port(), client);
    let is_its = |owner: &MeshService| match address {
        Some(Host::Ip(ip)) => owner.has_address(*ip),
        _ => true,
    };
    owner.is_some_and(is_its) && inventory.tells_names(dialled.port(), client)
}

/// The object whose names and addresses Istio's virtual host for a service and a port has, where it has one.
pub(super) fn virtual_host<'a>(
    inventory: &'a Inventory,
    service: &MeshService,
    port: u16,
    client: &str,
) -> Option<&'a MeshService> {
    let owner = (inventory.services).virtual_host(&service.egress, port, client)?;
    owner.http_ports().any(|own| own == port).then_some(owner)
}
