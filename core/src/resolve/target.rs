//! Who is meant: by name as a pod's resolver would complete it, else by address.

use std::net::IpAddr;

use lazymesh_protocol::Protocol;

use super::alias::concrete;
use super::listener;
use super::question::Question;
use crate::inventory::{Form, Inventory, MeshService, Route};
use crate::names::{Authority, ClusterId, EgressHost, Host};

/// The port on which istiod gives a VirtualService virtual hosts for what is not a service.
pub(crate) const PLAIN_HTTP: u16 = 80;

/// Whom a question means.
pub(crate) enum Target<'a> {
    /// A host of the mesh.
    Service {
        service: &'a MeshService,
        /// Whether Istio would route this very request to it, were it in scope.
        routable: bool,
    },
    /// A host that only a VirtualService has.
    Route {
        route: &'a Route,
        egress: EgressHost,
    },
    /// A pod, on a port that no service has.
    Pod,
    /// A host outside the mesh, as it is recorded.
    External(String),
}

pub(crate) fn resolve<'a>(inventory: &'a Inventory, question: &Question) -> Target<'a> {
    listener::owner(inventory, question)
        .map(by_its_name)
        .or_else(|| Some(known(inventory, question, by_name(inventory, question)?)))
        .or_else(|| {
            addresses(question).find_map(|(ip, port)| by_address(inventory, question, ip, port))
        })
        .unwrap_or_else(|| Target::External(external(question)))
}

/// What was found by its name, routable only where Istio knows that name.
fn known<'a>(inventory: &'a Inventory, question: &Question, target: Target<'a>) -> Target<'a> {
    match target {
        Target::Service { service, routable } => Target::Service {
            service,
            routable: routable && listener::knows(inventory, question, service),
        },
        other => other,
    }
}

/// The addresses that a question names, the authority's first.
fn addresses(question: &Question) -> impl Iterator<Item = (IpAddr, u16)> {
    let literal = match &question.authority {
        Some(Authority {
            host: Host::Ip(ip), ..
        }) => port(question).map(|port| (*ip, port)),
        _ => None,
    };
    let dialled = question
        .destination
        .map(|address| (address.ip(), address.port()));
    literal.into_iter().chain(dialled)
}

/// The port of a request: what was dialled, else what the authority says, else the protocol's own.
pub(crate) fn port(question: &Question) -> Option<u16> {
    let dialled = question.destination.map(|address| address.port());
    let named = question
        .authority
        .as_ref()
        .and_then(|authority| authority.port);
    dialled.or(named).or(default_port(question.protocol))
}

fn default_port(protocol: Protocol) -> Option<u16> {
    match protocol {
        Protocol::Http => Some(PLAIN_HTTP),
        Protocol::Tls => Some(443),
        Protocol::Tcp => None,
    }
}

/// Who has a name, of those that have the dialled port the first: on each port Istio has virtual hosts for these alone. A
/// service without that port is meant all the same, but only where nothing has both.
fn by_name<'a>(inventory: &'a Inventory, question: &Question) -> Option<Target<'a>> {
    let authority = question.authority.as_ref()?;
    let Host::Name(name) = &authority.host else {
        return None;
    };
    let client = &question.source.namespace;
    let candidates = match authority.absolute {
        true => absolute(inventory, name, client),
        false => candidates(inventory, name, client),
    };
    let mut without_port = None;
    for target in candidates {
        if serves(inventory, question, &target) {
            return Some(target);
        }
        if without_port.is_none() && matches!(target, Target::Service { .. }) {
            without_port = Some(target);
        }
    }
    without_port
}

/// Whoever may have a name, in the order in which Envoy prefers virtual hosts: exact ones, then wildcards, a headless
/// service's among them. So `mysql.data` is not a pod of a service `data` next door, while there is a service of that name.
fn candidates<'a>(inventory: &'a Inventory, name: &str, client: &str) -> Vec<Target<'a>> {
    let [own, completed @ ..] = spellings(inventory, name, client);
    let visible = |name: &String| inventory.services.visible(name, client).map(by_its_name);
    let mut found: Vec<_> = visible(&own).into_iter().collect();
    // What no service has Istio knows as it is written in the VirtualService, and prefers it to another name of a service.
    let routes = inventory.routes.exact(name, client);
    found.extend(routes.filter_map(|route| route_target(route, name)));
    found.extend(completed.iter().filter_map(visible));
    found.extend(
        headless_of_pod(inventory, name, client)
            .into_iter()
            .map(by_its_name),
    );
    found.extend(by_wildcard(inventory, name, client));
    found
}

/// Whoever may have a name that a dot ends. Istio knows services by their full names with one, and what is written so itself.
fn absolute<'a>(inventory: &'a Inventory, name: &str, client: &str) -> Vec<Target<'a>> {
    let services = &inventory.services;
    let written = services.visible(&format!("{name}."), client);
    let hosts = (name.match_indices('.')).filter_map(|(dot, _)| name.get(dot + 1..));
    let headless = hosts.filter_map(|host| services.visible(host, client));
    let headless = headless.filter(|service| service.form == Form::Headless);
    let found = written.into_iter().chain(services.visible(name, client));
    found
        .chain(headless)
        .chain(services.wildcards(name, client))
        .map(by_its_name)
        .collect()
}

/// A name as it stands, then after the search list of a pod.
pub(crate) fn spellings(inventory: &Inventory, name: &str, client: &str) -> [String; 4] {
    let domain = &inventory.mesh().cluster_domain;
    [
        name.to_owned(),
        format!("{name}.{client}.svc.{domain}"),
        format!("{name}.svc.{domain}"),
        format!("{name}.{domain}"),
    ]
}

fn by_its_name(service: &MeshService) -> Target<'_> {
    Target::Service {
        service,
        routable: true,
    }
}

/// Whether Istio has a virtual host for it on the port that was dialled. For a VirtualService's host that no service has, it
/// does so on port 80, and on the ports of services that the same VirtualService rules.
fn serves(inventory: &Inventory, question: &Question, target: &Target<'_>) -> bool {
    let client = &question.source.namespace;
    let Some(port) = port(question) else {
        return true;
    };
    match target {
        Target::Service { service, .. } => {
            let behind = concrete(inventory, service, client);
            behind.is_some_and(|behind| match question.protocol {
                Protocol::Http => listener::virtual_host(inventory, behind, port, client).is_some(),
                Protocol::Tcp | Protocol::Tls => behind.has_port(port),
            })
        }
        Target::Route { route, egress } => {
            let ruled = route.spec.hosts.iter().filter_map(|host| {
                inventory
                    .services
                    .visible(&host.to_ascii_lowercase(), client)
            });
            let has_port = |service: &MeshService| service.has_port(port);
            let may_be_http = |service: &MeshService| service.http_ports().any(|own| own == port);
            let is_met = egress.host.strip_prefix('*').is_some_and(|suffix| {
                let suffix = suffix.to_ascii_lowercase();
                inventory.services.meeting(&suffix, client).any(has_port)
            });
            // A service without HTTP on the port keeps its name all the same.
            let mut own = inventory
                .services
                .visible(&egress.key(), client)
                .into_iter();
            question.protocol == Protocol::Http
                && !route.gateway_api
                && !is_met
                && !own.any(has_port)
                && route.has_http(client, port)
                && inventory.tells_names(port, client)
                && (port == PLAIN_HTTP || { ruled }.any(may_be_http))
        }
        Target::Pod | Target::External(_) => true,
    }
}

/// The headless services of `pod.service.namespace.svc.…`, the longest name first. Istio gives such a service a wildcard
/// virtual host, so it does not ask either whether there is such a pod.
fn headless_of_pod<'a>(inventory: &'a Inventory, name: &str, client: &str) -> Vec<&'a MeshService> {
    let hosts = name
        .match_indices('.')
        .filter_map(|(dot, _)| name.get(dot + 1..));
    let names = hosts.flat_map(|host| spellings(inventory, host, client));
    let services = names.filter_map(|name| inventory.services.visible(&name, client));
    services
        .filter(|service| service.form == Form::Headless)
        .collect()
}

/// The wildcards that cover a name, the most specific first; a ServiceEntry's before a VirtualService's of the same length.
fn by_wildcard<'a>(inventory: &'a Inventory, name: &str, client: &str) -> Vec<Target<'a>> {
    let services = inventory.services.wildcards(name, client);
    let services = services.map(|service| (service.key().len(), by_its_name(service)));
    let routes = inventory.routes.wildcards(name, client);
    let routes = routes.filter_map(|(route, host)| Some((host.len(), route_target(route, &host)?)));
    let mut found: Vec<_> = services.chain(routes).collect();
    found.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    found.into_iter().map(|(_, target)| target).collect()
}

fn route_target<'a>(route: &'a Route, host: &str) -> Option<Target<'a>> {
    // A VirtualService's host may be an address or half a label, which no Sidecar can import.
    let egress = EgressHost::new(route.namespace.as_str(), route.written(host)?).ok()?;
    Some(Target::Route { route, egress })
}

fn by_address<'a>(
    inventory: &'a Inventory,
    question: &Question,
    ip: IpAddr,
    port: u16,
) -> Option<Target<'a>> {
    let client = &question.source.namespace;
    let http = question.protocol == Protocol::Http;
    let host = question.authority.as_ref().map(|authority| &authority.host);
    let named = matches!(host, Some(Host::Name(_)));
    let cluster = inventory.cluster_of(&question.cluster);
    if let Some((service, own)) = inventory.services.at(cluster, ip, port, client) {
        // Istio routes HTTP by name: a ServiceEntry's address says nothing about a name that it does not have.
        if http && named && !service.is_kubernetes() {
            return None;
        }
        // Of addresses it knows those of services, as names.
        let routable = !http
            || (own
                && host == Some(&Host::Ip(ip))
                && listener::knows(inventory, question, service));
        return Some(Target::Service { service, routable });
    }
    if let Some(service) = by_endpoint(inventory, cluster, ip, port, client) {
        // A headless service's own listeners have been asked.
        return Some(Target::Service {
            service,
            routable: false,
        });
    }
    inventory.pods.at(cluster, ip).map(|_| Target::Pod)
}

/// The service that has an endpoint at an address and port, a headless one first.
fn by_endpoint<'a>(
    inventory: &'a Inventory,
    cluster: &ClusterId,
    ip: IpAddr,
    port: u16,
    client: &str,
) -> Option<&'a MeshService> {
    let domain = &inventory.mesh().cluster_domain;
    let mut found = None;
    let endpoints = inventory.endpoints.get(cluster)?;
    for (namespace, name) in endpoints.services_at(ip) {
        let host = format!("{name}.{namespace}.svc.{domain}");
        let egress = EgressHost {
            namespace: namespace.to_owned(),
            host,
        };
        let Some(service) = inventory.services.get(&egress) else {
            continue;
        };
        let owned = inventory.services.owns(service, client);
        if !owned || !endpoints.listens(namespace, name, ip, port) {
            continue;
        }
        if service.form == Form::Headless {
            return Some(service);
        }
        found = found.or(Some(service));
    }
    found
}

fn external(question: &Question) -> String {
    let dialled = || question.destination.map(|address| Host::Ip(address.ip()));
    let host = question
        .authority
        .as_ref()
        .map(|authority| authority.host.clone())
        .or_else(dialled);
    let host = host.map(|host| host.to_string()).unwrap_or_default();
    match port(question) {
        Some(port) if Some(port) != default_port(question.protocol) => format!("{host}:{port}"),
        _ => host,
    }
}
