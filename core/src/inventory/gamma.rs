//! Reads routes of the Gateway API whose parent is a Service, or a ServiceEntry, as the VirtualServices that istiod makes of them.

use super::namespaced::Namespaced;
use super::routes::Route;
use crate::resource::{
    Destination, GRPCRoute, GatewayFilter, GatewayMatch, GatewayRouteSpec, GatewayRule, HTTPRoute,
    HttpMirror, HttpRoute, Kind, Mesh, Metadata, ObjectReference, Others, PathMatch, PortNumber,
    RouteMatch, StringMatch, VirtualService, VirtualServiceSpec, WeightedDestination,
};

/// The hosts of ServiceEntries, by their names.
pub(super) type EntryHosts = Namespaced<Vec<String>>;

/// A kind of the Gateway API that a Service may be the parent of.
pub(super) trait GatewayRoute {
    const KIND: Kind;
    fn metadata(&self) -> &Metadata;
    fn spec(&self) -> &GatewayRouteSpec;
}

macro_rules! gateway_route {
    ($kind:ident) => {
        impl GatewayRoute for $kind {
            const KIND: Kind = Kind::$kind;

            fn metadata(&self) -> &Metadata {
                &self.metadata
            }

            fn spec(&self) -> &GatewayRouteSpec {
                &self.spec
            }
        }
    };
}
gateway_route!(HTTPRoute);
gateway_route!(GRPCRoute);

/// One a parent that is a Service, and one a host of each parent that is a ServiceEntry. Of the parent's namespace it is the
/// producer's, for every client; of another it is the consumer's, for the clients of that namespace alone.
pub(super) fn routes<T: GatewayRoute>(object: &T, mesh: &Mesh, entries: &EntryHosts) -> Vec<Route> {
    let parents = object.spec().parent_refs.iter();
    let named = parents.flat_map(|parent| {
        let hosts = hosts_of(parent, &object.metadata().namespace, mesh, entries);
        hosts.into_iter().map(move |host| (parent, host))
    });
    named
        .map(|(parent, host)| route(object, parent, host, mesh))
        .collect()
}

/// A wildcard of a ServiceEntry is nothing to istiod here.
fn hosts_of(
    parent: &ObjectReference,
    namespace: &str,
    mesh: &Mesh,
    entries: &EntryHosts,
) -> Vec<String> {
    // The group of a parent is the Gateway API's own where it says none.
    match (parent.group.as_deref(), parent.kind.as_deref()) {
        (Some(""), Some("Service")) => vec![host_of(parent, namespace, mesh)],
        (Some("networking.istio.io"), Some("ServiceEntry")) => {
            let namespace = parent.namespace.as_deref().unwrap_or(namespace);
            let hosts = entries.get(namespace, &parent.name).into_iter().flatten();
            hosts
                .filter(|host| !host.starts_with('*'))
                .cloned()
                .collect()
        }
        _ => Vec::new(),
    }
}

/// The ServiceEntries that are parents of a route, by namespace and name.
pub(super) fn entries<T: GatewayRoute>(object: &T) -> impl Iterator<Item = (&str, &str)> {
    let parents = object.spec().parent_refs.iter();
    let entries = parents.filter(|parent| parent.kind.as_deref() == Some("ServiceEntry"));
    entries.map(|parent| {
        let namespace = parent.namespace.as_ref();
        let namespace = namespace.unwrap_or(&object.metadata().namespace);
        (namespace.as_str(), parent.name.as_str())
    })
}

fn route<T: GatewayRoute>(
    object: &T,
    parent: &ObjectReference,
    host: String,
    mesh: &Mesh,
) -> Route {
    let (metadata, spec) = (object.metadata(), object.spec());
    let namespace = &metadata.namespace;
    let port = parent.port.map(|port| format!("~{port}"));
    // As istiod calls it, and what tells those apart that istiod merges.
    let name = format!(
        "{namespace}{}~{host}~{}~{}",
        port.unwrap_or_default(),
        T::KIND,
        metadata.name
    );
    let is_producer = parent.namespace.as_ref().is_none_or(|own| own == namespace);
    let consumer = (!is_producer).then(|| ".".to_owned());
    let legs = spec.rules.iter();
    let made = VirtualService {
        metadata: Metadata {
            name,
            ..metadata.clone()
        },
        spec: VirtualServiceSpec {
            hosts: vec![host],
            export_to: consumer.into_iter().collect(),
            http: legs
                .map(|rule| leg(rule, parent.port, namespace, mesh))
                .collect(),
            ..VirtualServiceSpec::default()
        },
    };
    Route::of_gateway_api(&made, mesh)
}

fn leg(rule: &GatewayRule, port: Option<u16>, namespace: &str, mesh: &Mesh) -> HttpRoute {
    let destination = |backend: &ObjectReference| Destination {
        host: host_of(backend, namespace, mesh),
        port: backend.port.map(|number| PortNumber { number }),
        ..Destination::default()
    };
    let mirror = |filter: &GatewayFilter| {
        let mirror = filter.request_mirror.as_ref()?;
        Some(HttpMirror {
            destination: destination(&mirror.backend_ref),
        })
    };
    let everything = GatewayMatch::default();
    let matches = match rule.matches.as_slice() {
        [] => std::slice::from_ref(&everything),
        matches => matches,
    };
    HttpRoute {
        matches: matches.iter().map(|one| condition(one, port)).collect(),
        route: (rule.backend_refs.iter())
            .map(|backend| WeightedDestination {
                destination: destination(backend),
                weight: backend.weight.unwrap_or(1),
                others: backend.others,
            })
            .collect(),
        mirrors: rule.filters.iter().filter_map(mirror).collect(),
        others: Others {
            any: rule.others.any || !rule.filters.is_empty(),
        },
        ..HttpRoute::default()
    }
}

fn condition(one: &GatewayMatch, port: Option<u16>) -> RouteMatch {
    RouteMatch {
        port,
        uri: one.path.as_ref().map(path),
        others: one.others,
        ..RouteMatch::default()
    }
}

fn path(path: &PathMatch) -> StringMatch {
    let value = Some(path.value.clone().unwrap_or_else(|| "/".to_owned()));
    match path.kind.as_str() {
        "Exact" => StringMatch {
            exact: value,
            ..StringMatch::default()
        },
        "RegularExpression" => StringMatch {
            regex: value,
            ..StringMatch::default()
        },
        _ => StringMatch {
            prefix: value,
            ..StringMatch::default()
        },
    }
}

fn host_of(reference: &ObjectReference, namespace: &str, mesh: &Mesh) -> String {
    let namespace = reference.namespace.as_deref().unwrap_or(namespace);
    match reference.kind.as_deref() {
        Some("Hostname") => reference.name.clone(),
        _ => format!("{}.{namespace}.svc.{}", reference.name, mesh.cluster_domain),
    }
}
