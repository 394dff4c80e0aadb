//! What has to come along with an egress host, so that it works as in a full scope.
//!
//! A virtual host answers to more names than its service's: alternative names as `reviews.shop`, `*.` of a headless service,
//! wildcards, and every host of a VirtualService. Such a name never meets the catch-all virtual host, so whatever rules it in a
//! full scope has to be there, too. So do the services that share an address, of which one has the listener. Each service and each VirtualService is followed once, so no loop of manifests can make
//! this run long.
//!
//! Each host remembers what brought it first, so that whoever asks is told by the code that did it.

use std::collections::{BTreeMap, BTreeSet};

use super::cause::{Cause, Tie};
use crate::inventory::{Form, Inventory, MeshService, Port, Route, Spoken, ToldBy};
use crate::names::EgressHost;
use crate::resolve::{PLAIN_HTTP, concrete, spellings};

/// A wildcard that no host has. istiod's fast path for exact entries knows one object of a host and namespace, and does not list what is private
/// first; with a wildcard it looks at all objects, in the order of a full scope.
const NO_HOST: &str = "*.invalid";

/// The hosts of one client's scope, as they grow.
pub(super) struct Closure<'a> {
    inventory: &'a Inventory,
    client: &'a str,
    hosts: BTreeMap<EgressHost, Bond<'a>>,
    /// Those whose names have been followed: services by namespace and host, VirtualServices by namespace and name.
    services: BTreeSet<(&'a str, &'a str)>,
    routes: BTreeSet<(&'a str, &'a str)>,
    pending: Vec<(Pending<'a>, Number)>,
}

/// Hosts are numbered as they come, each after the one that brought it.
type Number = usize;

/// What ties a host to the scope.
#[derive(Clone, Copy)]
struct Bond<'a> {
    number: Number,
    tie: Tie<'a>,
    /// The host that brought it; none where nothing but the tie did.
    with: Option<Number>,
}

/// What is still to be followed, and with which host it came.
enum Pending<'a> {
    Service(&'a MeshService),
    Route(&'a Route),
}

impl<'a> Closure<'a> {
    pub(super) fn new(inventory: &'a Inventory, client: &'a str) -> Self {
        Self {
            inventory,
            client,
            hosts: BTreeMap::new(),
            services: BTreeSet::new(),
            routes: BTreeSet::new(),
            pending: Vec::new(),
        }
    }

    /// Adds a host and what comes along with it. Whoever has it in a full scope has it here: alone, any other object with
    /// the same host would take the name over.
    pub(super) fn add(&mut self, host: &EgressHost, tie: Tie<'a>) {
        let key = host.key();
        if let Some(owner) = self.inventory.services.visible(&key, self.client) {
            self.service(owner, tie, None);
        } else {
            let number = self.insert(host.clone(), tie, None);
            self.routes_of(&key, &host.host, number);
        }
        self.follow();
    }

    /// Adds the service of a host, if there is one, whatever its namespace, and what comes along with it.
    pub(super) fn add_named(&mut self, host: &str, tie: Tie<'a>) {
        if let Some(service) = self.inventory.services.visible(host, self.client) {
            self.service(service, tie, None);
        }
        self.follow();
    }

    fn follow(&mut self) {
        while let Some((pending, with)) = self.pending.pop() {
            match pending {
                Pending::Service(service) => self.follow_service(service, with),
                Pending::Route(route) => self.follow_route(route, with),
            }
        }
    }

    pub(super) fn into_hosts(self) -> BTreeSet<EgressHost> {
        self.hosts.into_keys().collect()
    }

    /// Why a host is there: itself, then the host that brought it, and so on to the first; nothing where it is not there.
    pub(super) fn why(&self, host: &EgressHost) -> Vec<Cause> {
        let mut next = self.hosts.get_key_value(host);
        let mut causes = Vec::new();
        while let Some((host, bond)) = next {
            let mut hosts = self.hosts.iter();
            next = (bond.with).and_then(|with| hosts.find(|(_, bond)| bond.number == with));
            causes.push(Cause {
                host: host.clone(),
                rule: bond.tie.into(),
                with: next.map(|(with, _)| with.clone()),
            });
        }
        causes
    }

    fn insert(&mut self, host: EgressHost, tie: Tie<'a>, with: Option<Number>) -> Number {
        let number = self.hosts.len();
        let bond = Bond { number, tie, with };
        self.hosts.entry(host).or_insert(bond).number
    }

    fn service(&mut self, service: &'a MeshService, tie: Tie<'a>, with: Option<Number>) {
        if self.services.insert((service.namespace(), service.key())) {
            let number = self.insert(service.egress.clone(), tie, with);
            let same = self.inventory.services.of(&service.egress);
            self.pending
                .extend(same.map(|service| (Pending::Service(service), number)));
            let is_exclusive = |port: &Port| self.inventory.is_exclusive(port.number);
            if self.inventory.services.is_merged(&service.egress)
                || service.is_several
                || service.ports.iter().any(is_exclusive)
            {
                self.have_all_looked_at(service, number);
            }
        }
    }

    /// Where several objects are for one host or one listener, it depends on their order who has it.
    fn have_all_looked_at(&mut self, service: &MeshService, with: Number) {
        let wildcard = EgressHost {
            namespace: service.namespace().to_owned(),
            host: NO_HOST.to_owned(),
        };
        self.insert(wildcard, Tie::Merged, Some(with));
    }

    /// The VirtualServices that rule a host. istiod imports one by an entry of its own namespace, with its host or one that
    /// its host covers.
    fn routes_of(&mut self, key: &str, host: &str, with: Number) {
        for route in self.inventory.routes.covering(key, self.client) {
            self.entry_of(route, host, with);
        }
    }

    /// A VirtualService, by an entry with this host, as it is written there: istiod compares letter by letter.
    fn entry_of(&mut self, route: &'a Route, host: &str, with: Number) {
        let host = route.written(host).unwrap_or(host);
        let entry = EgressHost::new(route.namespace.as_str(), host);
        let number = entry.map_or(with, |it| self.insert(it, Tie::Ruled(route), Some(with)));
        self.route(route, number);
    }

    /// What has this very name, be it a service or a VirtualService.
    fn name(&mut self, name: &str, with: Number) {
        if let Some(service) = self.inventory.services.visible(name, self.client) {
            self.service(service, Tie::Name, Some(with));
        } else if self
            .inventory
            .routes
            .exact(name, self.client)
            .next()
            .is_some()
        {
            self.routes_of(name, name, with);
        }
    }

    fn route(&mut self, route: &'a Route, with: Number) {
        if self.routes.insert((&route.namespace, &route.name)) {
            self.pending.push((Pending::Route(route), with));
        }
    }

    fn follow_service(&mut self, service: &'a MeshService, with: Number) {
        self.routes_of(service.key(), service.host(), with);
        self.follow_alias(service, with);
        self.follow_names(service, with);
        for other in self.inventory.services.sharing(service, self.client) {
            if other.egress != service.egress {
                self.have_all_looked_at(service, with);
            }
            self.service(other, Tie::Address, Some(with));
        }
        self.what_is_captured(service, with);
        if let Some(suffix) = service.key().strip_prefix('*') {
            self.everything_under(suffix, with);
        }
        if service.form == Form::Entry {
            // It is dialled at the address of the service whose name a pod's resolver makes of it.
            for name in spellings(self.inventory, service.key(), self.client) {
                self.name(&name, with);
            }
        }
        if !service.has_virtual_hosts() {
            return;
        }
        self.name(&format!("{}.", service.key()), with);
        for name in alternatives(
            service.key(),
            self.client,
            &self.inventory.mesh().cluster_domain,
        ) {
            self.name(name, with);
            if service.form == Form::Headless {
                self.everything_under(&format!(".{name}"), with);
            }
        }
        if service.form == Form::Headless {
            self.everything_under(&format!(".{}", service.key()), with);
        }
    }

    /// What has a listener of its own on a port on which a service takes all connections that no other listener does. Where its listener
    /// looks at what clients say, that is what must not wait for it.
    fn what_is_captured(&mut self, service: &MeshService, with: Number) {
        let (services, client) = (&self.inventory.services, self.client);
        for port in service.ports_beyond_http().filter(|_| service.is_open()) {
            let takes_all = port.protocol != Spoken::Tls && service.told_by != ToldBy::Block;
            let is_taken =
                |own: &Port| own.number == port.number && (takes_all || own.protocol.is_stream());
            let others = services.beyond_http();
            let others = others.filter(|it| it.ports_beyond_http().any(is_taken));
            for other in others.filter(|it| services.owns(it, client)) {
                if other.is_open() && other.egress != service.egress {
                    self.have_all_looked_at(service, with);
                }
                self.service(other, Tie::Captured, Some(with));
            }
        }
    }

    /// The ExternalNames that stand for a service with routes, which are those of its other names, too, or for one whose connections
    /// are told by the server's name, of which its listener knows them all.
    fn follow_names(&mut self, service: &MeshService, with: Number) {
        let mut routes = self.inventory.routes.covering(service.key(), self.client);
        let by_name = service.told_by == ToldBy::Name;
        let has_server_names = by_name && service.ports_beyond_http().next().is_some();
        let is_alias = matches!(service.form, Form::ExternalName(_));
        if routes.next().is_some() || has_server_names || is_alias {
            for alias in self.inventory.services.aliases(service) {
                self.service(alias, Tie::Alias, Some(with));
            }
        }
    }

    /// The service behind an ExternalName, and its name there: istiod keeps an alias of a service only if an entry of the
    /// *service's* namespace has the alias as its host (`matchingAliasService`).
    fn follow_alias(&mut self, service: &'a MeshService, with: Number) {
        let behind = concrete(self.inventory, service, self.client);
        if let Some(behind) = behind.filter(|behind| behind.egress != service.egress) {
            if let Ok(entry) = EgressHost::new(behind.namespace(), service.host()) {
                self.insert(entry, Tie::Alias, Some(with));
            }
            self.service(behind, Tie::Alias, Some(with));
        }
    }

    fn follow_route(&mut self, route: &'a Route, with: Number) {
        for destination in self.inventory.routes.destinations(route) {
            if let Some(service) = self.inventory.services.visible(destination, self.client) {
                self.service(service, Tie::Destination(route), Some(with));
            }
        }
        for host in &route.spec.hosts {
            let key = host.to_ascii_lowercase();
            match key.strip_prefix('*') {
                Some(suffix) => self.wildcard_of_route(route, suffix, with),
                // Of several VirtualServices of one host the first rules, so all have to be there.
                None if self
                    .inventory
                    .routes
                    .exact(&key, self.client)
                    .nth(1)
                    .is_some() =>
                {
                    self.routes_of(&key, host, with);
                }
                None => {}
            }
        }
    }

    /// istiod gives a VirtualService's wildcard a virtual host on each of its ports on which it finds no service that has names in
    /// common with it. So one such service keeps it from taking over the names of the others; where there is none, it takes over
    /// what VirtualServices have a name below it.
    fn wildcard_of_route(&mut self, route: &'a Route, suffix: &str, with: Number) {
        let (services, client) = (&self.inventory.services, self.client);
        let own = (route.spec.hosts.iter())
            .filter_map(|host| services.visible(&host.to_ascii_lowercase(), client));
        let mut ports: BTreeSet<u16> = own
            .flat_map(|service| service.ports.iter().map(|port| port.number))
            .collect();
        ports.insert(PLAIN_HTTP);
        let mut alone = false;
        for port in ports {
            let mut met = services.meeting(suffix, client);
            match met.find(|service| service.has_port(port)) {
                Some(service) => self.service(service, Tie::Host(route), Some(with)),
                None => alone = true,
            }
        }
        self.short_names_under(suffix, with);
        if alone {
            self.routes_under(suffix, with);
        }
    }

    /// Everything with a name that `*<suffix>` covers.
    fn everything_under(&mut self, suffix: &str, with: Number) {
        for service in self.inventory.services.under(suffix, self.client) {
            self.service(service, Tie::Below, Some(with));
        }
        self.short_names_under(suffix, with);
        self.routes_under(suffix, with);
    }

    fn routes_under(&mut self, suffix: &str, with: Number) {
        for (route, host) in self.inventory.routes.under(suffix, self.client) {
            self.entry_of(route, host, with);
        }
    }

    /// The services whose alternative names `*<suffix>` covers.
    fn short_names_under(&mut self, suffix: &str, with: Number) {
        let domain = &self.inventory.mesh().cluster_domain;
        for full in [
            format!("{suffix}.svc.{domain}"),
            format!("{suffix}.{domain}"),
        ] {
            for service in self.inventory.services.under(&full, self.client) {
                self.service(service, Tie::Below, Some(with));
            }
        }
    }
}

/// The names besides its own of a service below the cluster's domain (`generateAltVirtualHostsForKubernetesService`).
fn alternatives<'k>(key: &'k str, client: &str, cluster_domain: &str) -> Vec<&'k str> {
    let svc = (key.strip_suffix(cluster_domain))
        .and_then(|rest| rest.strip_suffix('.'))
        .filter(|svc| svc.ends_with(".svc"));
    let Some(svc) = svc else { return Vec::new() };
    let short = svc.strip_suffix(".svc").unwrap_or(svc);
    let own = short
        .split_once('.')
        .filter(|(_, namespace)| *namespace == client);
    [svc, short]
        .into_iter()
        .chain(own.map(|(name, _)| name))
        .collect()
}
