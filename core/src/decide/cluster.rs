//! Which clusters a held request waits for.

use std::cmp::Reverse;

use lazymesh_protocol::{Protocol, Share};

use super::route_match::{Fit, fit};
use crate::inventory::{Inventory, MeshService, Port, Route};
use crate::resolve;
use crate::resolve::Question;
use crate::resource::{Destination, StreamRoute, WeightedDestination};

/// The cluster of a service, or those that its VirtualService sends to. None where that leads to nothing.
pub(super) fn of_service(
    inventory: &Inventory,
    question: &Question,
    service: &MeshService,
    port: &Port,
) -> Vec<Share> {
    let client = &question.source.namespace;
    let route = inventory.routes.covering(service.key(), client).next();
    match route.and_then(|route| destinations(inventory, question, route)) {
        Some(destinations) => shares(inventory, question, destinations),
        None => vec![Share {
            cluster: name(port.number, "", service.host()),
            weight: 1,
        }],
    }
}

/// The clusters that a VirtualService sends to.
pub(super) fn of_route(inventory: &Inventory, question: &Question, route: &Route) -> Vec<Share> {
    let destinations = destinations(inventory, question, route);
    shares(inventory, question, destinations.unwrap_or_default())
}

/// Where most of what a first request can be goes: by the route that is surest to be taken, the first of several.
fn destinations<'a>(
    inventory: &'a Inventory,
    question: &Question,
    route: &'a Route,
) -> Option<&'a [WeightedDestination]> {
    let stream = |leg: &'a StreamRoute| (fit(&leg.matches, question), leg.route.as_slice());
    match question.protocol {
        Protocol::Http => surest(inventory.routes.http(route).map(|leg| {
            let fit = fit(leg.outer, question).min(fit(&leg.route.matches, question));
            (fit, leg.route.route.as_slice())
        })),
        Protocol::Tcp => surest(route.spec.tcp.iter().map(stream)),
        Protocol::Tls => surest(route.spec.tls.iter().map(stream)),
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

fn surest<'a>(
    legs: impl Iterator<Item = (Fit, &'a [WeightedDestination])>,
) -> Option<&'a [WeightedDestination]> {
    let possible =
        legs.filter(|(fit, destinations)| *fit != Fit::Never && !destinations.is_empty());
    // `min_by_key` takes the first of equals.
    possible
        .min_by_key(|(fit, _)| Reverse(*fit))
        .map(|(_, destinations)| destinations)
}

/// As Istio does: the destination's port, else the only one of its service, else the one that was dialled.
fn of_destination(
    inventory: &Inventory,
    question: &Question,
    destination: &Destination,
) -> Option<String> {
    let client = &question.source.namespace;
    let service = inventory.services.visible(&destination.host, client)?;
    let service = resolve::concrete(inventory, service, client)?;
    let port = match (&destination.port, service.ports.as_slice()) {
        (Some(port), _) => port.number,
        (None, [only]) => only.number,
        (None, _) => resolve::port(question)?,
    };
    service
        .has_port(port)
        .then(|| name(port, &destination.subset, service.host()))
}

fn name(port: u16, subset: &str, host: &str) -> String {
    format!("outbound|{port}|{subset}|{host}")
}
