//! Names the clusters that a held request waits for.

use lazymesh_protocol::{Protocol, Share};

use super::route_match::{Fit, fit};
use crate::inventory::{Inventory, MeshService, Port, Route, Spoken};
use crate::resolve;
use crate::resolve::Question;
use crate::resource::{Destination, RouteMatch, StreamRoute, WeightedDestination};

/// The cluster of a service, or those that its VirtualService sends to. None where that leads to nothing.
pub(super) fn of_service(
    inventory: &Inventory,
    question: &Question,
    service: &MeshService,
    port: &Port,
) -> Vec<Share> {
    let client = &question.source.namespace;
    // One of whose routes none is for this caller is none to Istio: then the next rules.
    let mut routes = inventory.routes.covering(service.key(), client);
    let spoken = port.protocol;
    let is_told = |route: &Route| !route.spec.tls.is_empty();
    let tells =
        spoken == Spoken::Tls && (inventory.routes.covering(service.key(), client)).any(is_told);
    match routes.find_map(|route| destinations(inventory, question, route, spoken)) {
        Some(destinations) => shares(inventory, question, destinations),
        // Where names of servers tell connections, any other passes.
        None if tells => Vec::new(),
        None => vec![Share {
            cluster: name(port.number, "", service.host()),
            weight: 1,
        }],
    }
}

/// The clusters that a VirtualService sends to.
pub(super) fn of_route(inventory: &Inventory, question: &Question, route: &Route) -> Vec<Share> {
    let destinations = destinations(inventory, question, route, Spoken::Http);
    shares(inventory, question, destinations.unwrap_or_default())
}

/// Where a first request goes: by the route that it is sure to take, else by the last that it may take.
fn destinations<'a>(
    inventory: &'a Inventory,
    question: &Question,
    route: &'a Route,
    spoken: Spoken,
) -> Option<&'a [WeightedDestination]> {
    let fit = |conditions: &[RouteMatch]| fit(inventory, question, conditions);
    let stream = |leg: &'a StreamRoute| (fit(&leg.matches), leg.route.as_slice());
    match question.protocol {
        _ if spoken == Spoken::Tls => surest(route.spec.tls.iter().map(stream)),
        Protocol::Http if spoken.may_be_http() => surest(inventory.routes.http(route).map(|leg| {
            let fit = fit(leg.outer).min(fit(&leg.route.matches));
            (fit, leg.route.route.as_slice())
        })),
        _ => surest(route.spec.tcp.iter().map(stream)),
    }
}

fn shares(
    inventory: &Inventory,
    question: &Question,
    destinations: &[WeightedDestination],
) -> Vec<Share> {
    let share = |weighted: &WeightedDestination| {
        let cluster = of_destination(inventory, question, &weighted.destination)?;
        let weight = weighted.weight;
        Some(Share { cluster, weight })
    };
    destinations.iter().filter_map(share).collect()
}

/// Routes are tried in their order, and none behind one that everything takes. What a header or a path decides may be for a
/// few, as a canary, and comes first: so of those that are not sure the last counts, which is left for the others.
fn surest<'a>(
    legs: impl Iterator<Item = (Fit, &'a [WeightedDestination])>,
) -> Option<&'a [WeightedDestination]> {
    let mut last = None;
    for (fit, destinations) in legs.filter(|(_, destinations)| !destinations.is_empty()) {
        match fit {
            Fit::Never => {}
            Fit::Perhaps => last = Some(destinations),
            Fit::Always => return Some(destinations),
        }
    }
    last
}

/// As Istio does: the destination's port; else the one that was dialled, or for what is not HTTP the only one of its service.
fn of_destination(
    inventory: &Inventory,
    question: &Question,
    destination: &Destination,
) -> Option<String> {
    let client = &question.source.namespace;
    let service = inventory.services.exported(&destination.host, client)?;
    let service = resolve::concrete(inventory, service, client)?;
    let port = match (&destination.port, service.ports.as_slice()) {
        (Some(port), _) => port.number,
        (None, [only]) if question.protocol != Protocol::Http => only.number,
        (None, _) => resolve::port(question)?,
    };
    service
        .has_port(port)
        .then(|| name(port, &destination.subset, service.host()))
}

fn name(port: u16, subset: &str, host: &str) -> String {
    format!("outbound|{port}|{subset}|{host}")
}
