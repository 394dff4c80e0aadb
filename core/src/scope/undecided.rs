//! Finds the hosts whose connections the filter cannot decide: nothing that it knows of a connection tells that it is theirs.

use super::{AlwaysVisible, Visibility};
use crate::inventory::{Inventory, MeshService, Passing, Port, Spoken, ToldBy};

/// These services of a client, each with the reason.
pub(super) fn services<'a>(
    inventory: &'a Inventory,
    visibility: &'a Visibility,
    client: &'a str,
) -> impl Iterator<Item = (&'a MeshService, AlwaysVisible)> {
    let services = inventory.services.beyond_http();
    let why = |service| Some((service, why(inventory, visibility, service)?));
    let undecided = services.filter_map(why);
    undecided.filter(|(service, _)| inventory.services.owns(service, client))
}

/// Why the filter cannot decide a service's connections; none where it can.
pub(super) fn why(
    inventory: &Inventory,
    visibility: &Visibility,
    service: &MeshService,
) -> Option<AlwaysVisible> {
    let mut ports = service.ports_beyond_http();
    ports.find_map(|port| match visibility.http_only {
        true => Some(AlwaysVisible::HttpOnly(port.number)),
        false => of_port(inventory, service, port),
    })
}

fn of_port(inventory: &Inventory, service: &MeshService, port: &Port) -> Option<AlwaysVisible> {
    let number = port.number;
    if port.protocol.is_stream() && inventory.anchors(number) {
        return Some(AlwaysVisible::SharesHttpPort(number));
    }
    let is_tls = port.protocol == Spoken::Tls;
    let is_lazy = match service.told_by {
        ToldBy::Address => !(is_tls && inventory.routes.tell_server_names(service.key())),
        ToldBy::Block => !is_tls,
        ToldBy::Name => passes(inventory, service, is_tls),
    };
    match is_lazy {
        true => None,
        false if is_tls => Some(AlwaysVisible::ToldByServerName(number)),
        false => Some(AlwaysVisible::ToldByPort(number)),
    }
}

/// Whether a sidecar without the host does with a connection what one with it does.
fn passes(inventory: &Inventory, service: &MeshService, is_tls: bool) -> bool {
    let key = service.key();
    let is_same = match service.passing {
        Passing::Same => true,
        Passing::SameForTls => is_tls,
        Passing::Differs => false,
    };
    is_same
        && !inventory.mesh().registry_only
        && inventory.routes.named(key).next().is_none()
        && !inventory.rules.has(key)
}
