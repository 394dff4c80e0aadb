//! Which cluster a held request waits for.

use lazymesh_protocol::Protocol;

use super::target;
use crate::authority::Host;
use crate::inventory::{Inventory, MeshService, Port, Route};
use crate::object::{Destination, RouteMatch, StreamRoute, WeightedDestination};
use crate::question::Question;

/// The cluster of a service, or of where its VirtualService sends. None where that leads to nothing.
pub(super) fn of_service(
    inventory: &Inventory,
    question: &Question,
    service: &MeshService,
    port: &Port,
) -> Option<String> {
    let client = &question.source.namespace;
    let route = inventory.routes.covering(service.key(), client).next();
    match route.and_then(|route| destination(inventory, question, route)) {
        Some(destination) => of_destination(inventory, question, destination),
        None => Some(name(port.number, "", service.host())),
    }
}

/// The cluster that a VirtualService sends to.
pub(super) fn of_route(
    inventory: &Inventory,
    question: &Question,
    route: &Route,
) -> Option<String> {
    of_destination(
        inventory,
        question,
        destination(inventory, question, route)?,
    )
}

/// Where most of what a first request can be goes: the route without a condition, else the first; of its
/// destinations the heaviest.
fn destination<'a>(
    inventory: &'a Inventory,
    question: &Question,
    route: &'a Route,
) -> Option<&'a Destination> {
    let destinations = match question.protocol {
        Protocol::Http => {
            let legs = inventory.routes.http(route);
            widest(legs.map(|leg| (leg.conditional, leg.route.route.as_slice())))
        }
        Protocol::Tcp => widest(route.spec.tcp.iter().map(stream)),
        Protocol::Tls => widest(
            (route.spec.tls.iter())
                .filter(|leg| greets(leg, question))
                .map(stream),
        ),
    }?;
    // `max_by_key` would take the last of equals.
    let heaviest = destinations
        .iter()
        .rev()
        .max_by_key(|weighted| weighted.weight)?;
    Some(&heaviest.destination)
}

fn stream(route: &StreamRoute) -> (bool, &[WeightedDestination]) {
    (!route.matches.is_empty(), &route.route)
}

fn widest<'a>(
    legs: impl Iterator<Item = (bool, &'a [WeightedDestination])>,
) -> Option<&'a [WeightedDestination]> {
    let legs = legs.filter(|(_, destinations)| !destinations.is_empty());
    // `min_by_key` takes the first of equals.
    legs.min_by_key(|(conditional, _)| *conditional)
        .map(|(_, destinations)| destinations)
}

/// Whether a TLS route takes the name in the hello.
fn greets(route: &StreamRoute, question: &Question) -> bool {
    let Some(Host::Name(name)) = question.authority.as_ref().map(|authority| &authority.host)
    else {
        return false;
    };
    let takes = |pattern: &String| match pattern.strip_prefix('*') {
        Some(suffix) => name.ends_with(suffix),
        None => pattern == name,
    };
    let matches = |condition: &RouteMatch| condition.sni_hosts.iter().any(takes);
    route.matches.is_empty() || route.matches.iter().any(matches)
}

/// As Istio does: the destination's port, else the only one of its service, else the one that was dialled.
fn of_destination(
    inventory: &Inventory,
    question: &Question,
    destination: &Destination,
) -> Option<String> {
    let client = &question.source.namespace;
    let service = inventory.services.visible(&destination.host, client)?;
    let service = target::concrete(inventory, service, client)?;
    let port = match (&destination.port, service.ports.as_slice()) {
        (Some(port), _) => port.number,
        (None, [only]) => only.number,
        (None, _) => target::port(question)?,
    };
    service
        .has_port(port)
        .then(|| name(port, &destination.subset, service.host()))
}

fn name(port: u16, subset: &str, host: &str) -> String {
    format!("outbound|{port}|{subset}|{host}")
}
