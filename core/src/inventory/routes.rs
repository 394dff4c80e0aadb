//! VirtualServices that sidecars obey, by host.

use std::sync::Arc;

use super::bounds::Bounds;
use super::export::{ExportTo, Nearness};
use super::hosts::{HostIndex, Rank, Ranked};
use super::namespaced::Namespaced;
use crate::resource::Mesh;
use crate::resource::{
    Destination, HttpRoute, RouteMatch, VirtualService, VirtualServiceSpec, WeightedDestination,
};

/// The gateway's name that stands for all sidecars.
const MESH_GATEWAY: &str = "mesh";

/// A VirtualService, its hosts and destinations completed.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) spec: VirtualServiceSpec,
    /// Whether istiod makes it of an object of the Gateway API.
    pub(crate) gateway_api: bool,
    export_to: ExportTo,
    created: String,
}

impl Route {
    pub(crate) fn is_visible_to(&self, namespace: &str) -> bool {
        self.export_to.allows(namespace)
    }

    /// A VirtualService that istiod makes of an object of the Gateway API.
    pub(super) fn of_gateway_api(made: &VirtualService, mesh: &Mesh) -> Self {
        Self {
            gateway_api: true,
            ..read_route(made, mesh)
        }
    }

    /// Where istiod lists it for a client: of equally near ones, the client's own routes of the Gateway API come first.
    fn place(&self, client: &str) -> Option<(Nearness, bool)> {
        let nearness = self.export_to.nearness(&self.namespace, client)?;
        let own = self.gateway_api && self.namespace == client;
        Some((nearness, !own))
    }

    /// A host of it as it is written there.
    pub(crate) fn written(&self, host: &str) -> Option<&str> {
        let mut hosts = self.spec.hosts.iter();
        hosts
            .find(|own| own.eq_ignore_ascii_case(host))
            .map(String::as_str)
    }
}

impl Ranked for Route {
    fn rank(&self) -> Rank<'_> {
        Rank {
            created: &self.created,
            name: (&self.name, &self.namespace),
            ..Rank::default()
        }
    }
}

/// VirtualServices by host, and delegates by name.
#[derive(Debug, Default)]
pub(crate) struct RouteIndex {
    hosts: HostIndex<Route>,
    delegates: Namespaced<Route>,
    bounds: Bounds,
}

impl RouteIndex {
    pub(crate) fn insert(&mut self, object: &VirtualService, mesh: &Mesh) {
        self.insert_route(read_route(object, mesh));
    }

    pub(crate) fn remove(&mut self, object: &VirtualService, mesh: &Mesh) {
        self.remove_route(&read_route(object, mesh));
    }

    pub(super) fn insert_route(&mut self, route: Route) {
        if route.spec.hosts.is_empty() {
            let (namespace, name) = (route.namespace.clone(), route.name.clone());
            self.delegates.insert(&namespace, &name, route);
        } else if route.spec.gateways.is_empty() || binds_sidecars(&route.spec.gateways) {
            let route = Arc::new(route);
            for host in &route.spec.hosts {
                self.hosts.insert(&host.to_ascii_lowercase(), &route);
            }
        }
    }

    pub(super) fn remove_route(&mut self, route: &Route) {
        if route.spec.hosts.is_empty() {
            self.delegates.remove(&route.namespace, &route.name);
        } else {
            for host in &route.spec.hosts {
                self.hosts.remove(&host.to_ascii_lowercase(), route);
            }
        }
    }

    pub(super) fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// Those that a client obeys, in the order in which istiod lists them.
    fn preferred<'a>(
        &self,
        routes: &'a [Arc<Route>],
        client: &str,
    ) -> impl Iterator<Item = &'a Route> + use<'a> {
        let obeyed = routes.iter().filter(|route| self.is_obeyed(route, client));
        let mut obeyed: Vec<_> = obeyed.map(Arc::as_ref).collect();
        obeyed.sort_by_key(|route| route.place(client));
        obeyed.into_iter()
    }

    fn is_obeyed(&self, route: &Route, client: &str) -> bool {
        let admits = |host: &String| {
            let host = host.to_ascii_lowercase();
            self.bounds.admits_route(&route.namespace, &host, client)
        };
        route.is_visible_to(client) && route.spec.hosts.iter().any(admits)
    }

    /// The VirtualServices of this very host that a client obeys, the one that Istio prefers first.
    pub(crate) fn exact(&self, host: &str, client: &str) -> impl Iterator<Item = &Route> {
        self.preferred(self.hosts.exact(host), client)
    }

    /// Those that cover a host by name or by wildcard, whoever obeys them.
    pub(crate) fn named(&self, host: &str) -> impl Iterator<Item = &Route> {
        self.hosts.covering(host).flatten().map(Arc::as_ref)
    }

    /// Whether one of them looks at the name of a server.
    pub(crate) fn tell_server_names(&self, host: &str) -> bool {
        self.named(host).any(|route| !route.spec.tls.is_empty())
    }

    /// Those of them that a client obeys, most specific first.
    pub(crate) fn covering(&self, host: &str, client: &str) -> impl Iterator<Item = &Route> {
        let hosts = self.hosts.covering(host);
        hosts.flat_map(move |routes| self.preferred(routes, client))
    }

    /// The wildcards that cover a name, most specific first: the VirtualService and its host.
    pub(crate) fn wildcards(
        &self,
        name: &str,
        client: &str,
    ) -> impl Iterator<Item = (&Route, String)> {
        // `*` alone is not a host of a sidecar's VirtualService.
        let wild = self
            .hosts
            .wild(name)
            .filter(|(suffix, _)| !suffix.is_empty());
        wild.flat_map(move |(suffix, routes)| {
            self.preferred(routes, client)
                .map(move |route| (route, format!("*{suffix}")))
        })
    }

    /// The VirtualServices that a client obeys with a host that `*<suffix>` covers, itself aside; with each, that host.
    pub(crate) fn under(&self, suffix: &str, client: &str) -> impl Iterator<Item = (&Route, &str)> {
        let routes = self.hosts.under(suffix).flatten().map(Arc::as_ref);
        let obeyed = routes.filter(move |route| self.is_obeyed(route, client));
        obeyed.flat_map(move |route| {
            let hosts = route.spec.hosts.iter().map(String::as_str);
            hosts
                .filter(move |host| host.to_ascii_lowercase().ends_with(suffix))
                .map(move |host| (route, host))
        })
    }

    /// The HTTP routes of a VirtualService, with delegates in place.
    ///
    /// Istio merges one level only: a delegate that delegates is invalid. So no cycle can be followed.
    pub(crate) fn http<'a>(&'a self, root: &'a Route) -> impl Iterator<Item = HttpLeg<'a>> {
        root.spec.http.iter().flat_map(move |route| {
            let own = HttpLeg { route, outer: &[] };
            let delegate = self.delegate(root, route);
            let merged = delegate.into_iter().flat_map(move |delegate| {
                delegate.spec.http.iter().map(move |inner| HttpLeg {
                    route: inner,
                    outer: &route.matches,
                })
            });
            std::iter::once(own).chain(merged)
        })
    }

    fn delegate(&self, root: &Route, route: &HttpRoute) -> Option<&Route> {
        let name = route.delegate.as_ref()?;
        let namespace = if name.namespace.is_empty() {
            &root.namespace
        } else {
            &name.namespace
        };
        let delegate = self.delegates.get(namespace, &name.name)?;
        delegate.is_visible_to(&root.namespace).then_some(delegate)
    }

    /// Every host that a VirtualService sends to or mirrors to, delegates included.
    pub(crate) fn destinations<'a>(&'a self, root: &'a Route) -> impl Iterator<Item = &'a str> {
        let http = self.http(root).flat_map(|leg| {
            let mirrors = leg.route.mirrors.iter().map(|mirror| &mirror.destination);
            let weighted = leg.route.route.iter().map(|weighted| &weighted.destination);
            weighted.chain(&leg.route.mirror).chain(mirrors)
        });
        let streams = root.spec.tcp.iter().chain(&root.spec.tls);
        let streams = streams
            .flat_map(|route| &route.route)
            .map(|weighted| &weighted.destination);
        http.chain(streams)
            .map(|destination| destination.host.as_str())
    }
}

/// One HTTP route of a VirtualService or of its delegate.
#[derive(Clone, Copy)]
pub(crate) struct HttpLeg<'a> {
    pub(crate) route: &'a HttpRoute,
    /// The conditions under which its VirtualService is a delegate, besides its own.
    pub(crate) outer: &'a [RouteMatch],
}

impl Route {
    /// Whether istiod makes routes for requests of it, for a client's sidecar and a port.
    pub(crate) fn has_http(&self, client: &str, port: u16) -> bool {
        let mut legs = self.spec.http.iter();
        legs.any(|leg| leg.is_for(client, port))
    }
}

impl HttpRoute {
    /// Whether istiod makes a route of it, for a client's sidecar and a port.
    pub(crate) fn is_for(&self, client: &str, port: u16) -> bool {
        let mut conditions = self.matches.iter();
        self.matches.is_empty() || conditions.any(|condition| condition.is_for(client, port))
    }
}

impl RouteMatch {
    /// Whether istiod makes a route of it, for a client's sidecar and a port.
    pub(crate) fn is_for(&self, client: &str, port: u16) -> bool {
        let from_here = if self.gateways.is_empty() {
            self.source_namespace.is_empty() || self.source_namespace == client
        } else {
            binds_sidecars(&self.gateways)
        };
        from_here && self.port.is_none_or(|own| own == port)
    }
}

/// Whether sidecars are among these gateways.
pub(crate) fn binds_sidecars(gateways: &[String]) -> bool {
    gateways.iter().any(|gateway| gateway == MESH_GATEWAY)
}

fn read_route(object: &VirtualService, mesh: &Mesh) -> Route {
    let metadata = &object.metadata;
    let full = |host: &str| full_host(host, &metadata.namespace, &mesh.cluster_domain);
    let mut spec = object.spec.clone();
    spec.hosts.iter_mut().for_each(|host| *host = full(host));
    spec.hosts
        .sort_by_cached_key(|host| host.to_ascii_lowercase());
    spec.hosts.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    destinations_mut(&mut spec).for_each(|destination| {
        destination.host = full(&destination.host).to_ascii_lowercase();
    });
    Route {
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone(),
        export_to: ExportTo::new(
            &metadata.namespace,
            spec.export_to.iter().map(String::as_str),
            &mesh.default_export_to.virtual_services,
        ),
        created: metadata.creation_timestamp.clone(),
        gateway_api: false,
        spec,
    }
}

fn destinations_mut(spec: &mut VirtualServiceSpec) -> impl Iterator<Item = &mut Destination> {
    fn weighted(routes: &mut [WeightedDestination]) -> impl Iterator<Item = &mut Destination> {
        routes.iter_mut().map(|weighted| &mut weighted.destination)
    }
    let http = spec.http.iter_mut().flat_map(|route| {
        let mirrors = route
            .mirrors
            .iter_mut()
            .map(|mirror| &mut mirror.destination);
        weighted(&mut route.route)
            .chain(&mut route.mirror)
            .chain(mirrors)
    });
    let streams = spec.tcp.iter_mut().chain(&mut spec.tls);
    http.chain(streams.flat_map(|route| weighted(&mut route.route)))
}

/// A host as Istio completes it: a name without dots is a service in the object's own namespace.
pub(crate) fn full_host(host: &str, namespace: &str, cluster_domain: &str) -> String {
    if host.is_empty() || host.contains(['.', '*', ':']) {
        host.to_owned()
    } else {
        format!("{host}.{namespace}.svc.{cluster_domain}")
    }
}
