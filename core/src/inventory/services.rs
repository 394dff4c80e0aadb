//! Every host that istiod would make a cluster or a route for: Kubernetes Services and ServiceEntries alike.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::addresses::{AddressIndex, parse_block};
use super::bounds::Bounds;
use super::clusters::Clusters;
use super::export::ExportTo;
use super::hosts::{HostIndex, Rank, Ranked};
use super::protocol::Protocol;
use crate::names::{ClusterId, EgressHost};
use crate::resource::Mesh;
use crate::resource::{Service, ServiceEntry, ServiceEntrySpec};

/// One host of the mesh.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MeshService {
    pub(crate) egress: EgressHost,
    /// The cluster whose Service it is; none for a ServiceEntry, which is one for the whole mesh.
    cluster: Option<ClusterId>,
    /// The host in lower case.
    key: String,
    /// Name of the Service or ServiceEntry.
    pub(crate) name: String,
    pub(crate) form: Form,
    pub(crate) ports: Vec<Port>,
    addresses: Vec<IpNet>,
    /// What Istio tells its connections by.
    pub(crate) told_by: ToldBy,
    /// What passing a connection through would do.
    pub(crate) passing: Passing,
    export_to: ExportTo,
    created: String,
}

/// What Istio tells the connections of a host by, where its protocol leaves it nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToldBy {
    /// Addresses that nothing else has: its own, or its pods'.
    Address,
    /// Blocks of addresses; within them, TLS by the name of its server.
    Block,
    /// TLS by the name of its server, anything else by the port alone.
    Name,
}

/// What passing a connection through would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passing {
    /// Something else than Istio does.
    Differs,
    /// What Istio does with TLS for that very host: look its name up.
    SameForTls,
    /// What Istio does: go where it was dialled.
    Same,
}

/// What stands behind a host.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A Kubernetes Service with an address of its own, or with none yet.
    ClusterIp,
    /// A Kubernetes Service whose addresses are its pods'.
    Headless,
    /// A Kubernetes Service that is another name for this host, as it is written: Istio compares it letter by letter.
    ExternalName(String),
    /// A ServiceEntry.
    Entry,
}

/// One TCP port.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) number: u16,
    /// Name of a Kubernetes Service's port; empty for a ServiceEntry.
    pub(crate) name: String,
    /// What is spoken on it.
    pub(crate) protocol: Protocol,
}

impl MeshService {
    /// The host as istiod writes it.
    pub(crate) fn host(&self) -> &str {
        &self.egress.host
    }

    /// The host as it is looked up.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.egress.namespace
    }

    pub(crate) fn has_port(&self, number: u16) -> bool {
        self.ports.iter().any(|port| port.number == number)
    }

    pub(crate) fn addresses(&self) -> &[IpNet] {
        &self.addresses
    }

    pub(crate) fn has_address(&self, address: IpAddr) -> bool {
        self.addresses.contains(&IpNet::from(address))
    }

    /// Whether Istio tells its connections by addresses that nothing else has, and that do not come and go.
    pub(crate) fn has_own_addresses(&self) -> bool {
        self.told_by == ToldBy::Address && self.form != Form::Headless && !self.addresses.is_empty()
    }

    /// Whether istiod may give it virtual hosts: where a port speaks HTTP, or may do so. An ExternalName has those of what it
    /// stands for.
    pub(crate) fn has_virtual_hosts(&self) -> bool {
        let mut ports = self.ports.iter();
        matches!(self.form, Form::ExternalName(_)) || ports.any(|port| port.protocol.may_be_http())
    }

    /// The ports on which istiod may give it virtual hosts.
    pub(crate) fn http_ports(&self) -> impl Iterator<Item = u16> {
        let http = self.ports.iter().filter(|port| port.protocol.may_be_http());
        http.map(|port| port.number)
    }

    /// Its ports on which something else than HTTP is spoken, or may be. Those of an ExternalName have no listener.
    pub(crate) fn ports_beyond_http(&self) -> impl Iterator<Item = &Port> {
        let has_listeners = !matches!(self.form, Form::ExternalName(_));
        let ports = self.ports.iter().filter(move |_| has_listeners);
        ports.filter(|port| port.protocol != Protocol::Http)
    }

    pub(crate) fn is_kubernetes(&self) -> bool {
        self.form != Form::Entry
    }

    /// Where istiod lists it for a client: before others of the same address.
    fn place(&self, client: &str) -> impl Ord + use<'_> {
        let name = match self.form {
            Form::Entry => &self.egress.host,
            _ => &self.name,
        };
        let nearness = self.export_to.nearness(self.namespace(), client);
        (nearness, self.created.as_str(), name, self.namespace())
    }

    fn source(&self) -> Source {
        (self.egress.clone(), self.cluster.clone(), self.name.clone())
    }
}

impl Ranked for MeshService {
    fn rank(&self) -> Rank<'_> {
        Rank {
            last: !self.is_kubernetes(),
            created: &self.created,
            name: (self.namespace(), &self.name),
            cluster: self.cluster.as_ref().map(ClusterId::as_str),
        }
    }
}

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
}

/// What a service is made from: its host, the cluster of a Kubernetes Service, and the object's name.
type Source = (EgressHost, Option<ClusterId>, String);

impl ServiceIndex {
    pub(crate) fn insert(&mut self, service: MeshService) {
        let service = Arc::new(service);
        self.hosts.insert(service.key(), &service);
        for &block in &service.addresses {
            self.addresses_of(&service).insert(block, &service);
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
        self.beyond_http.remove(&service.source());
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

    /// The service that a client's sidecar takes for this very host, of all that have it.
    pub(crate) fn visible(&self, host: &str, client: &str) -> Option<&MeshService> {
        pick(self.hosts.exact(host), client, &self.bounds)
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
        let owner = self.visible(service.key(), client);
        owner.is_some_and(|owner| owner.namespace() == service.namespace())
    }

    /// The services of this very host, whatever their namespace.
    pub(crate) fn named(&self, host: &str) -> impl Iterator<Item = &MeshService> {
        self.hosts.exact(host).iter().map(Arc::as_ref)
    }

    /// The service of this very host and namespace.
    pub(crate) fn get(&self, egress: &EgressHost) -> Option<&MeshService> {
        let key = egress.key();
        let mut services = self.hosts.exact(&key).iter();
        services
            .find(|service| service.namespace() == egress.namespace)
            .map(Arc::as_ref)
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

    /// The services of a client that have an address and a port in common with one, so that of all of them one has the
    /// listener.
    pub(crate) fn sharing(
        &self,
        service: &MeshService,
        client: &str,
    ) -> impl Iterator<Item = &MeshService> {
        let port = |port: &Port| port.number;
        let ports: Vec<_> = service.ports_beyond_http().map(port).collect();
        let blocks = service.addresses.iter().filter(|_| !ports.is_empty());
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

/// The host of a Kubernetes Service; none if its name is one that Kubernetes would not take.
pub(crate) fn of_service(service: &Service, mesh: &Mesh) -> Option<MeshService> {
    let (metadata, spec) = (&service.metadata, &service.spec);
    let (name, namespace) = (&metadata.name, &metadata.namespace);
    let host = format!("{name}.{namespace}.svc.{}", mesh.cluster_domain);
    let tcp = |protocol: &str| matches!(protocol, "" | "TCP");
    let exported = metadata.annotations.export_to.as_deref();
    Some(MeshService {
        cluster: Some(metadata.cluster.clone()),
        key: host.to_ascii_lowercase(),
        egress: EgressHost::new(namespace.as_str(), host).ok()?,
        name: name.clone(),
        form: match spec.kind.as_str() {
            "ExternalName" => Form::ExternalName(spec.external_name.clone()),
            _ if spec.cluster_ip == "None" => Form::Headless,
            _ => Form::ClusterIp,
        },
        ports: (spec.ports.iter())
            .filter(|port| tcp(&port.protocol))
            .filter_map(|port| {
                let said = port.app_protocol.as_deref();
                Some(Port {
                    number: port.port,
                    name: port.name.clone(),
                    protocol: Protocol::of_service(port.port, &port.name, said)?,
                })
            })
            .collect(),
        addresses: blocks(spec.cluster_ips.iter().chain([&spec.cluster_ip])),
        told_by: ToldBy::Address,
        passing: Passing::Differs,
        export_to: ExportTo::new(
            namespace,
            exported.into_iter().flat_map(|list| list.split(',')),
            &mesh.default_export_to.services,
        ),
        created: metadata.creation_timestamp.clone(),
    })
}

/// The hosts of a ServiceEntry, without those that Istio would not take.
pub(crate) fn of_entry(entry: &ServiceEntry, mesh: &Mesh) -> impl Iterator<Item = MeshService> {
    let (metadata, spec) = (&entry.metadata, &entry.spec);
    let namespace = metadata.namespace.as_str();
    spec.hosts.iter().filter_map(move |host| {
        let egress = EgressHost::new(namespace, host.strip_suffix('.').unwrap_or(host)).ok()?;
        let allocated = (entry.status.addresses.iter())
            .filter(|address| address.host.is_empty() || address.host == *host)
            .map(|address| &address.value);
        Some(MeshService {
            cluster: None,
            key: normalise(host),
            egress,
            name: metadata.name.clone(),
            form: Form::Entry,
            ports: (spec.ports.iter())
                .filter_map(|port| {
                    Some(Port {
                        number: port.number,
                        name: String::new(),
                        protocol: Protocol::parse(&port.protocol)?,
                    })
                })
                .collect(),
            addresses: blocks(spec.addresses.iter().chain(allocated)),
            told_by: told_by(&spec.addresses),
            passing: passing(spec, host),
            export_to: ExportTo::new(
                namespace,
                spec.export_to.iter().map(String::as_str),
                &mesh.default_export_to.services,
            ),
            created: metadata.creation_timestamp.clone(),
        })
    })
}

/// What istiod allocated does not count: nobody dials it whose DNS is not Istio's.
fn told_by(addresses: &[String]) -> ToldBy {
    let blocks = blocks(addresses.iter());
    let is_single = |block: &IpNet| block.prefix_len() == block.max_prefix_len();
    match blocks.iter().all(is_single) {
        _ if blocks.is_empty() => ToldBy::Name,
        true => ToldBy::Address,
        false => ToldBy::Block,
    }
}

fn passing(spec: &ServiceEntrySpec, host: &str) -> Passing {
    let is_outside = matches!(spec.location.as_str(), "" | "MESH_EXTERNAL");
    match spec.resolution.as_str() {
        _ if !is_outside || spec.endpoints || spec.workload_selector => Passing::Differs,
        "" | "NONE" => Passing::Same,
        "DNS" | "DNS_ROUND_ROBIN" if !host.starts_with('*') => Passing::SameForTls,
        _ => Passing::Differs,
    }
}

fn blocks<'a>(addresses: impl Iterator<Item = &'a String>) -> Vec<IpNet> {
    let mut blocks: Vec<_> = addresses.filter_map(|text| parse_block(text)).collect();
    blocks.sort_unstable();
    blocks.dedup();
    blocks
}

pub(crate) fn normalise(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
