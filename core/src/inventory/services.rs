//! Indexes every host that istiod would make a cluster or a route for: Kubernetes Services and ServiceEntries alike.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::addresses::AddressIndex;
use super::bounds::Bounds;
use super::clusters::Clusters;
use super::hosts::HostIndex;
use super::mesh_service::{Form, MeshService, Port, Source};
use crate::names::{ClusterId, EgressHost};

/// Services by host and by address.
#[derive(Debug, Default)]
pub(crate) struct ServiceIndex {
    hosts: HostIndex<MeshService>,
    /// Of Kubernetes Services.
    addresses: Clusters<AddressIndex<MeshService>>,
    /// Of ServiceEntries.
    entries: AddressIndex<MeshService>,
    bounds: Bounds,
    /// Those with a port on which something else than HTTP is spoken, or may be.
    beyond_http: BTreeMap<Source, Arc<MeshService>>,
    /// Those with a port on which nothing but HTTP gets through.
    http_proxies: BTreeMap<Source, Arc<MeshService>>,
    /// ExternalNames, by the host that each stands for.
    aliases: BTreeMap<String, BTreeSet<EgressHost>>,
    /// The hosts of several objects of one namespace, of which one is a ServiceEntry.
    merged: BTreeSet<EgressHost>,
    /// Hosts that are written with capitals.
    cased: BTreeSet<EgressHost>,
}

impl ServiceIndex {
    pub(crate) fn insert(&mut self, service: MeshService) {
        let service = Arc::new(service);
        self.hosts.insert(service.key(), &service);
        for &block in &service.addresses {
            self.addresses_of(&service).insert(block, &service);
        }
        self.find_merged(&service.egress);
        if service.host() != service.key() {
            self.cased.insert(service.egress.clone());
        }
        if let Form::ExternalName(host) = &service.form {
            let aliases = self.aliases.entry(host.clone()).or_default();
            aliases.insert(service.egress.clone());
        }
        if service.http_proxy_ports().next().is_some() {
            let source = service.source();
            self.http_proxies.insert(source, Arc::clone(&service));
        }
        if service.ports_beyond_http().next().is_some() {
            self.beyond_http.insert(service.source(), service);
        }
    }

    pub(crate) fn remove(&mut self, service: &MeshService) {
        self.hosts.remove(service.key(), service);
        for &block in &service.addresses {
            self.addresses_of(service).remove(block, service);
        }
        self.find_merged(&service.egress);
        if self
            .of(&service.egress)
            .all(|it| it.egress != service.egress)
        {
            self.cased.remove(&service.egress);
        }
        if let Form::ExternalName(host) = &service.form {
            let is_gone = self.of(&service.egress).all(|it| it.form != service.form);
            if let Some(aliases) = self.aliases.get_mut(host).filter(|_| is_gone) {
                aliases.remove(&service.egress);
                if aliases.is_empty() {
                    self.aliases.remove(host);
                }
            }
        }
        self.http_proxies.remove(&service.source());
        self.beyond_http.remove(&service.source());
    }

    fn find_merged(&mut self, host: &EgressHost) {
        let own = self.of(host);
        let (entries, services): (Vec<_>, Vec<_>) = own.partition(|it| !it.is_kubernetes());
        if entries.len() > 1 || (!entries.is_empty() && !services.is_empty()) {
            self.merged.insert(host.clone());
        } else {
            self.merged.remove(host);
        }
    }

    fn addresses_of(&mut self, service: &MeshService) -> &mut AddressIndex<MeshService> {
        match &service.cluster {
            Some(cluster) => self.addresses.entry(cluster),
            None => &mut self.entries,
        }
    }

    /// Those with a port on which something else than HTTP is spoken, or may be, sorted by host.
    pub(crate) fn beyond_http(&self) -> impl Iterator<Item = &MeshService> {
        self.beyond_http.values().map(Arc::as_ref)
    }

    /// Those with a port on which nothing but HTTP gets through, sorted by host.
    pub(crate) fn http_proxies(&self) -> impl Iterator<Item = &MeshService> {
        self.http_proxies.values().map(Arc::as_ref)
    }

    /// Those of a port on which nothing but HTTP gets through, and those whose own listeners take something else there.
    pub(crate) fn refused_on(&self, port: u16) -> impl Iterator<Item = &MeshService> {
        let proxies = self.http_proxies();
        let proxies = proxies.filter(move |it| it.http_proxy_ports().any(|own| own == port));
        let others = self.beyond_http().filter(move |it| {
            let mut ports = it.ports_beyond_http();
            ports.any(|own| own.number == port)
        });
        proxies.chain(others)
    }

    /// Those whose host several objects of their namespace have, of which one is a ServiceEntry: istiod merges them in part.
    pub(crate) fn merged(&self) -> impl Iterator<Item = &MeshService> {
        self.merged.iter().filter_map(|host| self.get(host))
    }

    /// Those whose hosts are written with capitals. istiod's routes for requests lead to clusters of such a name in lower case, which nobody has.
    pub(crate) fn cased(&self) -> impl Iterator<Item = &MeshService> {
        let written = |host| self.of(host).find(|service| service.egress == *host);
        self.cased.iter().filter_map(written)
    }

    /// The ExternalNames that stand for a service, whomever they are exported to.
    pub(crate) fn aliases(&self, service: &MeshService) -> impl Iterator<Item = &MeshService> {
        let aliases = self.aliases.get(service.host()).into_iter().flatten();
        aliases.filter_map(|host| self.get(host))
    }

    /// Whether several objects of a namespace have a host, of which one is a ServiceEntry.
    pub(crate) fn is_merged(&self, host: &EgressHost) -> bool {
        self.merged.contains(host)
    }

    /// The service that a client's sidecar takes for this very host, of all that have it.
    pub(crate) fn visible(&self, host: &str, client: &str) -> Option<&MeshService> {
        let services = self.hosts.exact(host);
        // What it stands for has its name, whomever it is exported to itself.
        let alias = || services.iter().find(|service| !service.has_listeners());
        pick(services, client, &self.bounds).or_else(|| alias().map(Arc::as_ref))
    }

    pub(super) fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// Whether a client may see what a namespace has of a host.
    pub(crate) fn admits(&self, host: &EgressHost, client: &str) -> bool {
        self.bounds.admits(&host.namespace, &host.key(), client)
    }

    /// The service that istiod finds for a destination of a VirtualService, which no Sidecar bounds.
    pub(crate) fn exported(&self, host: &str, client: &str) -> Option<&MeshService> {
        pick(self.hosts.exact(host), client, &Bounds::default())
    }

    /// Whether a client's sidecar takes its host for this service. Another namespace may have the same host, as a
    /// ServiceEntry has whatever it says; in a full scope that one is nowhere.
    pub(crate) fn owns(&self, service: &MeshService, client: &str) -> bool {
        // What an ExternalName stands for has its name, whomever it is exported to itself.
        let is_seen = service.export_to.allows(client) || !service.has_listeners();
        let owner = self.visible(service.key(), client).filter(|_| is_seen);
        owner.is_some_and(|owner| owner.namespace() == service.namespace())
    }

    /// The services of this very host, whatever their namespace.
    pub(crate) fn named(&self, host: &str) -> impl Iterator<Item = &MeshService> {
        self.hosts.exact(host).iter().map(Arc::as_ref)
    }

    /// The service of this very host and namespace.
    pub(crate) fn get(&self, egress: &EgressHost) -> Option<&MeshService> {
        self.of(egress).next()
    }

    /// All objects that have this very host in this namespace.
    pub(crate) fn of(&self, egress: &EgressHost) -> impl Iterator<Item = &MeshService> {
        let services = self.hosts.exact(&egress.key()).iter().map(Arc::as_ref);
        services.filter(|service| service.namespace() == egress.namespace)
    }

    /// The object that istiod makes the virtual host of a port of: of those of one host that have the port, the last that it lists.
    pub(crate) fn virtual_host(
        &self,
        host: &EgressHost,
        port: u16,
        client: &str,
    ) -> Option<&MeshService> {
        let own = self.of(host).filter(|it| it.has_port(port));
        let own = own.filter(|it| it.export_to.allows(client));
        own.max_by(|one, other| one.place(client).cmp(&other.place(client)))
    }

    /// The wildcards that cover a name and that a client sees, most specific first.
    pub(crate) fn wildcards(&self, name: &str, client: &str) -> impl Iterator<Item = &MeshService> {
        let wild = self.hosts.wild(name);
        wild.filter_map(move |(_, services)| pick(services, client, &self.bounds))
    }

    /// A client's services whose hosts `*<suffix>` covers, itself aside.
    pub(crate) fn under(&self, suffix: &str, client: &str) -> impl Iterator<Item = &MeshService> {
        let below = self.hosts.under(suffix);
        below.filter_map(move |services| pick(services, client, &self.bounds))
    }

    /// A client's services whose hosts have names in common with `*<suffix>`, itself aside: those below it, and wider wildcards.
    pub(crate) fn meeting<'a>(
        &'a self,
        suffix: &str,
        client: &str,
    ) -> impl Iterator<Item = &'a MeshService> {
        (self.under(suffix, client)).chain(self.wildcards(suffix, client))
    }

    /// The service that has an address in a cluster; of several, the one that Istio's listener for the port is of. With it,
    /// whether it is its very address, not only in a block of its.
    pub(crate) fn at(
        &self,
        cluster: &ClusterId,
        address: IpAddr,
        port: u16,
        client: &str,
    ) -> Option<(&MeshService, bool)> {
        let own = self.addresses.get(cluster);
        let own = own.into_iter().flat_map(|own| own.covering(address));
        let found = own.chain(self.entries.covering(address));
        let seen = found.filter(|(service, _)| self.owns(service, client));
        // A port of HTTP has no listener on the address.
        let listens = |service: &MeshService| {
            let mut ports = service.ports_beyond_http();
            ports.any(|own| own.number == port)
        };
        let (service, open) = seen.min_by_key(|&(service, open)| {
            let listens = listens(service);
            let has_port = listens || service.has_port(port);
            (!has_port, open, !listens, service.place(client))
        })?;
        Some((service, open == 0))
    }

    /// The services of a client that have a listener of an address and a port that one has, too: of all of them one has it.
    pub(crate) fn sharing(
        &self,
        service: &MeshService,
        client: &str,
    ) -> impl Iterator<Item = &MeshService> {
        let port = |port: &Port| port.number;
        let ports: Vec<_> = service.ports.iter().map(port).collect();
        let blocks = service.addresses.iter();
        let of_clusters = self.addresses.values();
        let found: Vec<_> = blocks
            .flat_map(|&block| {
                let indexes = of_clusters.clone().chain([&self.entries]);
                indexes.flat_map(move |index| index.overlapping(block))
            })
            .filter(|other| {
                other
                    .ports_beyond_http()
                    .any(|own| ports.contains(&own.number))
            })
            .filter(|other| self.owns(other, client))
            .map(Arc::as_ref)
            .collect();
        found.into_iter()
    }
}

/// As Istio does (`selectServices` in its `pilot/pkg/model/sidecar.go`): one in the client's own namespace, else one of
/// Kubernetes, else what is exported to some namespaces only, else the oldest.
fn pick<'a>(
    services: &'a [Arc<MeshService>],
    client: &str,
    bounds: &Bounds,
) -> Option<&'a MeshService> {
    let visible = services.iter().filter_map(|service| {
        let namespace = service.namespace();
        let nearness = service.export_to.nearness(namespace, client)?;
        let elsewhere = namespace != client;
        let place = (elsewhere, !service.is_kubernetes(), nearness);
        bounds
            .admits(namespace, service.key(), client)
            .then_some((place, service))
    });
    // `min_by_key` takes the first of equals.
    let best = visible.min_by_key(|(place, _)| *place);
    best.map(|(_, service)| service.as_ref())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::mesh_service::{of_entry, of_service};
    use super::*;
    use crate::resource::{Mesh, Service, ServiceEntry};

    #[test]
    fn a_service_and_an_entry_of_one_name_are_two() {
        let mesh = Mesh::default();
        let metadata = json!({ "name": "db", "namespace": "shop" });
        let host = "db.shop.svc.cluster.local";
        let port = json!({ "number": 5432, "protocol": "TCP" });
        let entry = json!({ "metadata": metadata, "spec": { "hosts": [host], "ports": [port] } });
        let service = json!({ "metadata": metadata, "spec": { "ports": [{ "port": 5432 }] } });
        let entry: ServiceEntry = serde_json::from_value(entry).expect("well-formed");
        let service: Service = serde_json::from_value(service).expect("well-formed");
        let of_entry = || of_entry(&entry, &mesh).next().expect("a host");
        let of_service = || of_service(&service, &mesh).expect("a host");
        let mut index = ServiceIndex::default();
        index.insert(of_entry());
        index.insert(of_service());
        index.remove(&of_service());
        assert_eq!(index.beyond_http().count(), 1);
        index.remove(&of_entry());
        assert_eq!(index.beyond_http().count(), 0);
    }
}
