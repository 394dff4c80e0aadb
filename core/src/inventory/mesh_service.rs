//! Reads a host that istiod would make a cluster or a route for from a Kubernetes Service or a ServiceEntry.

use std::net::IpAddr;

use ipnet::IpNet;

use super::addresses::parse_block;
use super::export::ExportTo;
use super::hosts::{Rank, Ranked};
use super::protocol::Protocol;
use crate::names::{ClusterId, EgressHost};
use crate::resource::Mesh;
use crate::resource::{Service, ServiceEntry, ServiceEntrySpec};

/// What a service is made from: its host, the cluster of a Kubernetes Service, and the object's name.
pub(super) type Source = (EgressHost, Option<ClusterId>, String);

/// One host of the mesh.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MeshService {
    pub(crate) egress: EgressHost,
    /// The cluster whose Service it is; none for a ServiceEntry, which is one for the whole mesh.
    pub(super) cluster: Option<ClusterId>,
    /// The host in lower case.
    key: String,
    /// Name of the Service or ServiceEntry.
    pub(crate) name: String,
    pub(crate) form: Form,
    pub(crate) ports: Vec<Port>,
    pub(super) addresses: Vec<IpNet>,
    /// Whether istiod makes several services of it: one for each address that a ServiceEntry says.
    pub(crate) is_several: bool,
    /// What Istio tells its connections by.
    pub(crate) told_by: ToldBy,
    /// What passing a connection through would do.
    pub(crate) passing: Passing,
    pub(super) export_to: ExportTo,
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

    /// Whether an address is in one of its blocks.
    pub(crate) fn covers(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|block| block.contains(&address))
    }

    /// Whether Istio tells its connections by addresses that nothing else has: its own, or its pods'.
    pub(crate) fn has_own_listeners(&self) -> bool {
        self.form == Form::Headless
            || (self.told_by == ToldBy::Address && !self.addresses.is_empty())
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

    /// Its ports on which something else than HTTP is spoken, or may be.
    pub(crate) fn ports_beyond_http(&self) -> impl Iterator<Item = &Port> {
        let ports = self.ports.iter().filter(|_| self.has_listeners());
        ports.filter(|port| !port.protocol.is_http())
    }

    /// Whether its ports have listeners: an ExternalName is a name of what has them.
    pub(super) fn has_listeners(&self) -> bool {
        !matches!(self.form, Form::ExternalName(_))
    }

    /// Whether the listeners of its ports are those of all addresses, even where they are not HTTP.
    pub(crate) fn is_open(&self) -> bool {
        match self.form {
            Form::ClusterIp => self.addresses.is_empty(),
            Form::Entry => self.told_by != ToldBy::Address,
            Form::Headless | Form::ExternalName(_) => false,
        }
    }

    /// The ports all of whose connections come to it that no other listener takes: it has no address to tell them by.
    pub(crate) fn open_ports(&self) -> impl Iterator<Item = u16> {
        let is_open = self.is_open() && self.told_by != ToldBy::Block;
        let ports = self.ports_beyond_http().filter(move |_| is_open);
        let ports = ports.filter(|port| port.protocol != Protocol::Tls);
        ports.map(|port| port.number)
    }

    /// Its ports on which nothing but HTTP gets through.
    pub(crate) fn http_proxy_ports(&self) -> impl Iterator<Item = u16> {
        let ports = self.ports.iter().filter(|_| self.has_listeners());
        let ports = ports.filter(|port| port.protocol == Protocol::HttpProxy);
        ports.map(|port| port.number)
    }

    pub(crate) fn is_kubernetes(&self) -> bool {
        self.form != Form::Entry
    }

    /// Where istiod lists it for a client: before others of the same address.
    pub(crate) fn place(&self, client: &str) -> impl Ord + use<'_> {
        let name = match self.form {
            Form::Entry => &self.egress.host,
            _ => &self.name,
        };
        let nearness = self.export_to.nearness(self.namespace(), client);
        (nearness, self.created.as_str(), name, self.namespace())
    }

    pub(super) fn source(&self) -> Source {
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
        is_several: false,
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
        let egress = EgressHost::new(namespace, host.as_str()).ok()?;
        let allocated = (entry.status.addresses.iter())
            .filter(|address| address.host.is_empty() || address.host == *host)
            .map(|address| &address.value);
        Some(MeshService {
            cluster: None,
            key: host.to_ascii_lowercase(),
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
            is_several: spec.addresses.len() > 1,
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
