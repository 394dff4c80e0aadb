//! Reads routes of the Gateway API whose parent is a Service as the VirtualServices that istiod makes of them.

use super::routes::Route;
use crate::resource::{
    Destination, GRPCRoute, GatewayFilter, GatewayMatch, GatewayRouteSpec, GatewayRule, HTTPRoute,
    HttpMirror, HttpRoute, Kind, Mesh, Metadata, ObjectReference, Others, PathMatch, PortNumber,
    RouteMatch, StringMatch, VirtualService, VirtualServiceSpec, WeightedDestination,
};

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

/// One a parent that is a Service. Of the Service's namespace it is the producer's, for every client; of another it is the
/// consumer's, for the clients of that namespace alone.
pub(super) fn routes<T: GatewayRoute>(object: &T, mesh: &Mesh) -> impl Iterator<Item = Route> {
    let (metadata, spec) = (object.metadata(), object.spec());
    let parents = spec.parent_refs.iter().filter(|parent| is_service(parent));
    parents.map(move |parent| {
        let namespace = &metadata.namespace;
        let host = host_of(parent, namespace, mesh);
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
        let route = VirtualService {
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
        Route::of_gateway_api(&route, mesh)
    })
}

/// The group of a parent is the Gateway API's own where it says none.
fn is_service(parent: &ObjectReference) -> bool {
    parent.group.as_deref() == Some("") && parent.kind.as_deref() == Some("Service")
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
