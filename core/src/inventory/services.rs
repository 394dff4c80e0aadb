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
use crate::resource::{Service, ServiceEntry};

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
    export_to: ExportTo,
    created: String,
}

/// What stands behind a host.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A Kubernetes Service with an address of its own, or with none yet.
    ClusterIp,
    /// A Kubernetes Service whose addresses are its pods'.
    Headless,
    /// A Kubernetes Service that is another name for this host.
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

    pub(crate) fn is_visible_to(&self, namespace: &str) -> bool {
        self.export_to.allows(namespace)
    }

    /// Whether istiod may give it virtual hosts: where a port speaks HTTP, or may do so. An ExternalName has those of what it
    /// stands for.
    pub(crate) fn has_virtual_hosts(&self) -> bool {
        let http = |port: &Port| port.protocol != Protocol::Tcp;
        matches!(self.form, Form::ExternalName(_)) || self.ports.iter().any(http)
    }

    /// The ports on which istiod may give it virtual hosts.
    pub(crate) fn http_ports(&self) -> impl Iterator<Item = u16> {
        let http = self
            .ports
            .iter()
            .filter(|port| port.protocol != Protocol::Tcp);
        http.map(|port| port.number)
    }

    /// `assume_http`: whether ports whose protocol Istio detects are taken for HTTP.
    pub(crate) fn may_speak_beyond_http(&self, assume_http: bool) -> bool {
        self.ports.iter().any(|port| match port.protocol {
            Protocol::Http => false,
            Protocol::Detected => !assume_http,
            Protocol::Tcp => true,
        })
    }

    pub(crate) fn is_kubernetes(&self) -> bool {
        self.form != Form::Entry
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
    /// Those with a port that is not declared to be HTTP.
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
        if service.may_speak_beyond_http(false) {
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

    /// Hosts of a client that speak something else than HTTP on one of their ports, or may do so. The filter sees only
    /// HTTP, so they could never be learned: out of scope they would be called in plain text, past their VirtualServices,
    /// for ever.
    pub(crate) fn beyond_http(
        &self,
        client: &str,
        assume_http: bool,
    ) -> impl Iterator<Item = &EgressHost> {
        let visible = self
            .beyond_http
            .values()
            .filter(move |service| self.owns(service, client));
        visible
            .filter(move |service| service.may_speak_beyond_http(assume_http))
            .map(|service| &service.egress)
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

    /// The service that has an address in a cluster; of several, the one with the port. With it, whether it is its very
    /// address, not only in a block of its.
    pub(crate) fn at(
        &self,
        cluster: &ClusterId,
        address: IpAddr,
        port: u16,
        client: &str,
    ) -> Option<(&MeshService, bool)> {
        let mut without_port = None;
        let own = self.addresses.get(cluster);
        let own = own.into_iter().flat_map(|own| own.covering(address));
        // The address of a Kubernetes Service is a block of one, the smallest there is.
        for (service, single) in own.chain(self.entries.covering(address)) {
            if !service.is_visible_to(client) || !self.owns(service, client) {
                continue;
            }
            if service.has_port(port) {
                return Some((service, single));
            }
            without_port = without_port.or(Some((service.as_ref(), single)));
        }
        without_port
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
            "ExternalName" => Form::ExternalName(normalise(&spec.external_name)),
            _ if spec.cluster_ip == "None" => Form::Headless,
            _ => Form::ClusterIp,
        },
        ports: (spec.ports.iter())
            .filter(|port| tcp(&port.protocol))
            .map(|port| Port {
                number: port.port,
                name: port.name.clone(),
                protocol: Protocol::of_service(port.port, &port.name, port.app_protocol.as_deref()),
            })
            .collect(),
        addresses: blocks(spec.cluster_ips.iter().chain([&spec.cluster_ip])),
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
                .map(|port| Port {
                    number: port.number,
                    name: String::new(),
                    protocol: Protocol::parse(&port.protocol),
                })
                .collect(),
            addresses: blocks(spec.addresses.iter().chain(allocated)),
            export_to: ExportTo::new(
                namespace,
                spec.export_to.iter().map(String::as_str),
                &mesh.default_export_to.services,
            ),
            created: metadata.creation_timestamp.clone(),
        })
    })
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
        assert_eq!(index.beyond_http("shop", false).count(), 1);
        index.remove(&of_entry());
        assert_eq!(index.beyond_http("shop", false).count(), 0);
    }
}
