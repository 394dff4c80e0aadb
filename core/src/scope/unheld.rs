//! Finds the hosts for which to hold a request is not to do what their routes do.
//!
//! A held request goes on to a cluster, or to one of several by their weights. A route may do more: redirect or answer itself,
//! rewrite, mirror, retry, choose by a path or a header, or name a cluster that nobody has, to which Istio answers at once. Until
//! such a route is in a sidecar nothing does what it does, so hosts with one stay in every scope that may see them.

use lazymesh_protocol::MAX_SHARES;

use crate::inventory::{Form, Inventory, MeshService, Port, Route};
use crate::names::EgressHost;
use crate::resolve::PLAIN_HTTP;
use crate::resource::{Destination, HttpRoute, RouteMatch, StringMatch, WeightedDestination};

/// These hosts, for one client.
pub(super) fn hosts<'a>(
    inventory: &'a Inventory,
    client: &'a str,
) -> impl Iterator<Item = EgressHost> + 'a {
    let ruled = inventory.routes.under("", client);
    let ruled = ruled.flat_map(move |(route, host)| {
        let key = host.to_ascii_lowercase();
        let own = is_alone(inventory, client, route, &key)
            .then(|| EgressHost::new(route.namespace.as_str(), host).ok());
        own.flatten()
            .into_iter()
            .chain(unheld_of(inventory, client, &key))
    });
    let hashed = inventory.rules.hashed();
    let hashed = hashed.flat_map(move |host| unheld_of(inventory, client, host));
    let owned = move |service: &&MeshService| inventory.services.owns(service, client);
    let cased = inventory.services.cased().filter(owned);
    let cased = cased.filter(|service| service.http_ports().next().is_some());
    ruled
        .chain(hashed)
        .chain(cased.map(|service| service.egress.clone()))
}

/// Whether only a VirtualService, not a route of the Gateway API, has a host: then it is there on ports, and under spellings, of its own, where Istio tells requests by
/// name. So is one of a service without the port of plain HTTP, there. A wildcard costs istiod its fast path, so it is learned where it can be.
fn is_alone(inventory: &Inventory, client: &str, route: &Route, key: &str) -> bool {
    let can_be_learned = || sends_only(inventory, client, route, PLAIN_HTTP);
    let is_held = match inventory.services.visible(key, client) {
        Some(service) => {
            service.has_port(PLAIN_HTTP)
                || can_be_learned()
                || leads_nowhere(inventory, client, route)
        }
        None => key.starts_with('*') && can_be_learned(),
    };
    !route.gateway_api && !is_held && is_told(inventory, client, route)
}

/// Whether a VirtualService has plain HTTP sent to clusters that nobody has. That is so of most services without that port, which nobody calls
/// there.
fn leads_nowhere(inventory: &Inventory, client: &str, route: &Route) -> bool {
    let mut legs = route.spec.http.iter();
    legs.find(|leg| leg.is_for(client, PLAIN_HTTP))
        .is_some_and(|leg| {
            let is_lost = |share: &WeightedDestination| {
                !is_known(inventory, client, &share.destination, PLAIN_HTTP)
            };
            !leg.route.is_empty() && leg.route.iter().all(is_lost)
        })
}

fn is_told(inventory: &Inventory, client: &str, route: &Route) -> bool {
    let hosts = route
        .spec
        .hosts
        .iter()
        .map(|host| host.to_ascii_lowercase());
    let ruled = hosts.filter_map(|host| inventory.services.visible(&host, client));
    let mut ports = ruled.flat_map(MeshService::http_ports).chain([PLAIN_HTTP]);
    ports.any(|port| inventory.tells_names(port, client))
}

/// The services that a host stands for and for which to hold is not enough.
fn unheld_of<'a>(inventory: &'a Inventory, client: &'a str, host: &str) -> Vec<EgressHost> {
    let services = &inventory.services;
    let below = host.strip_prefix('*');
    let below = below
        .into_iter()
        .flat_map(|suffix| services.under(suffix, client));
    let unheld = services.visible(host, client).into_iter().chain(below);
    unheld
        .filter(|service| !can_hold(inventory, client, service))
        .map(|service| service.egress.clone())
        .collect()
}

fn can_hold(inventory: &Inventory, client: &str, service: &MeshService) -> bool {
    let routes: Vec<_> = inventory.routes.covering(service.key(), client).collect();
    // A name of another service has no ports of its own; and istiod merges routes of the Gateway API.
    let merged = routes.iter().filter(|route| route.gateway_api).count() > 1;
    if merged || (matches!(service.form, Form::ExternalName(_)) && !routes.is_empty()) {
        return false;
    }
    let can_hold = |port| {
        let mut routes = routes.iter();
        routes.all(|route| sends_only(inventory, client, route, port))
    };
    let connects = |port: &Port| {
        let mut routes = routes.iter();
        routes.all(|route| connects_only(inventory, client, route, port.number))
    };
    service.http_ports().all(can_hold)
        && service.ports_beyond_http().all(connects)
        && !hashes(inventory, client, service)
}

/// Whether a VirtualService sends all requests of a port by one list of clusters, and does no more with them.
fn sends_only(inventory: &Inventory, client: &str, route: &Route, port: u16) -> bool {
    let fits = |condition: &&RouteMatch| condition.is_for(client, port);
    let Some(leg) = (route.spec.http.iter()).find(|leg| leg.is_for(client, port)) else {
        return true;
    };
    let HttpRoute {
        matches,
        route,
        mirror,
        mirrors,
        delegate,
        others,
    } = leg;
    let certain = matches.is_empty() || matches.iter().filter(fits).any(is_certain);
    let weights: u32 = route.iter().map(|share| share.weight).sum();
    let plain = !others.any && mirror.is_none() && mirrors.is_empty() && delegate.is_none();
    let sent = (1..=MAX_SHARES).contains(&route.len()) && (route.len() == 1 || weights > 0);
    certain
        && plain
        && sent
        && route
            .iter()
            .all(|share| !share.others.any && is_known(inventory, client, &share.destination, port))
}

/// Whether a VirtualService connects only to clusters that somebody has.
fn connects_only(inventory: &Inventory, client: &str, route: &Route, port: u16) -> bool {
    let shares = route.spec.tcp.iter().flat_map(|leg| &leg.route);
    let mut destinations = shares.map(|share| &share.destination);
    destinations.all(|destination| is_known(inventory, client, destination, port))
}

/// Whether every request meets a condition that is for its client and port.
fn is_certain(condition: &RouteMatch) -> bool {
    let labelled = condition.gateways.is_empty() && !condition.source_labels.is_empty();
    let by_path = condition.uri.as_ref();
    !labelled
        && !condition.others.any
        && condition.authority.is_none()
        && by_path.is_none_or(StringMatch::takes_every_path)
}

/// Whether a destination is a cluster of the mesh, one that no route has to choose endpoints for.
fn is_known(inventory: &Inventory, client: &str, destination: &Destination, port: u16) -> bool {
    let Some(service) = inventory.services.exported(&destination.host, client) else {
        return false;
    };
    let (host, root) = (service.key(), &inventory.mesh().root_namespace);
    let port = destination.port.as_ref().map_or(port, |port| port.number);
    let rules = &inventory.rules;
    let subset = destination.subset.as_str();
    let has_subset =
        || subset.is_empty() || rules.has_subset(subset, host, client, service.namespace(), root);
    let is_alias = matches!(service.form, Form::ExternalName(_));
    !is_alias && service.has_port(port) && has_subset() && !hashes(inventory, client, service)
}

fn hashes(inventory: &Inventory, client: &str, service: &MeshService) -> bool {
    let root = &inventory.mesh().root_namespace;
    (inventory.rules).hashes(service.key(), client, service.namespace(), root)
}
