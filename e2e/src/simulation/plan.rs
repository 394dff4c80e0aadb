//! Who is in a mesh, and where: everything that follows from its description before anything runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use lazymesh_envoyfilters::{ALS_PORT, AccessLog};
use serde_json::Value;

use super::names::collector_host;
use super::{COLLECTOR_SERVICE, MeshBuilder, NAMESPACE, SYSTEM_NAMESPACE, WORKLOAD};
use crate::{
    client::Names,
    manifests,
    network::Block,
    service::{Exposure, External, Placed, Service},
    simulation::envoy::files::Files,
    simulation::istiod::{Config, Entry, Patches, Protocol},
    state::State,
};

/// Last byte of the address of virtualOutbound and of Envoy's admin port.
const ENVOY: u8 = 1;
/// Last byte of the collector's address.
const COLLECTOR: u8 = 2;
/// Last byte of the pod IP of the sidecar's workload.
const POD: u8 = 3;
/// Last byte of the first external host's address.
const EXTERNALS: u8 = 200;

/// A mesh whose members have their addresses.
pub(super) struct Plan {
    pub(super) builder: MeshBuilder,
    pub(super) block: Block,
    pub(super) services: BTreeMap<String, Placed>,
    pub(super) externals: BTreeMap<String, (External, Ipv4Addr)>,
}

impl Plan {
    pub(super) fn new(builder: MeshBuilder, block: Block) -> Self {
        let services = (0..).zip(&builder.services);
        let services = services
            .map(|(index, service)| {
                (
                    service.name.clone(),
                    Placed::new(service.clone(), index, &block),
                )
            })
            .collect();
        let externals = (EXTERNALS..).zip(&builder.externals);
        let externals = externals
            .map(|(last, external)| {
                (
                    external.host.clone(),
                    (external.clone(), block.address(last)),
                )
            })
            .collect();
        Self {
            builder,
            block,
            services,
            externals,
        }
    }

    /// Where Envoy is.
    pub(super) fn envoy(&self) -> Ipv4Addr {
        self.block.address(ENVOY)
    }

    /// Where the collector is.
    pub(super) fn collector(&self) -> Ipv4Addr {
        self.block.address(COLLECTOR)
    }

    /// The mesh as the collector reads it.
    pub(super) fn manifests(&self) -> Vec<Value> {
        let mut namespaces: BTreeSet<&str> = self
            .builder
            .services
            .iter()
            .map(|s| s.namespace.as_str())
            .collect();
        namespaces.insert(NAMESPACE);
        let mut all: Vec<_> = namespaces
            .iter()
            .map(|name| manifests::namespace(name, *name == NAMESPACE))
            .collect();
        let pod_ip = self.block.address(POD).to_string();
        let collector_ip = self.collector().to_string();
        all.extend([
            manifests::namespace(SYSTEM_NAMESPACE, false),
            manifests::kubernetes_service(
                SYSTEM_NAMESPACE,
                COLLECTOR_SERVICE,
                &collector_ip,
                ("http-ingest", 8480, 8480),
            ),
            manifests::pod(NAMESPACE, WORKLOAD, &pod_ip, true),
        ]);
        all.extend(self.services.values().flat_map(manifests::service));
        all.extend(self.builder.manifests.iter().cloned());
        all
    }

    /// `namespace/host` entries that every Sidecar has.
    pub(super) fn always(&self) -> Vec<String> {
        let known = self.builder.services.iter().filter(|service| service.known);
        known.map(Service::egress_host).collect()
    }

    /// The access logs that the collector gets.
    pub(super) fn als(&self) -> Option<AccessLog> {
        let host = collector_host();
        let percent = self.builder.als?;
        Some(AccessLog { host, percent })
    }

    /// Ports that have an HTTP listener.
    pub(super) fn http_ports(&self) -> BTreeSet<u16> {
        let services = self.services.values().map(|placed| &placed.service);
        let services = services.filter(|service| service.is_http());
        let externals = self.externals.values().map(|(external, _)| external);
        let externals = externals.filter(|external| external.http);
        let ports = externals.map(|external| external.port);
        services.map(|service| service.port).chain(ports).collect()
    }

    /// The addresses of the mesh.
    pub(super) fn mesh_prefixes(&self) -> Vec<String> {
        let addresses = |placed: &Placed| [placed.cluster_ip, placed.pod_ip];
        let addresses = self.services.values().flat_map(addresses);
        addresses.map(|address| address.to_string()).collect()
    }

    /// All that istiod knows of it.
    pub(super) fn istiod(&self, state: &State, patches: Option<Patches>) -> Config {
        let address = self.collector();
        let ports = [(8480, Protocol::Http1), (ALS_PORT, Protocol::Http2)];
        let collector = ports.map(|(port, protocol)| Entry {
            namespace: SYSTEM_NAMESPACE.to_owned(),
            name: COLLECTOR_SERVICE.to_owned(),
            port,
            cluster_ip: address,
            endpoint: (address, port).into(),
            service_account: None,
            protocol,
        });
        Config {
            registry: self.services.values().map(entry).chain(collector).collect(),
            http_ports: self.http_ports(),
            namespace: NAMESPACE.to_owned(),
            workload: WORKLOAD.to_owned(),
            policy: self.builder.policy,
            patches,
            als: self.als(),
            sidecars: state.sidecars(),
            files: Files::new(state.envoy()),
        }
    }

    /// What cluster DNS, with the search domains of the client's pod, and the DNS of the world answer.
    pub(super) fn names(&self) -> Names {
        let mut names = Names::new();
        for placed in self.services.values() {
            let Service {
                name, namespace, ..
            } = &placed.service;
            if namespace == NAMESPACE {
                names.insert(name.clone(), placed.cluster_ip);
            }
            for suffix in ["", ".svc", ".svc.cluster.local"] {
                names.insert(format!("{name}.{namespace}{suffix}"), placed.cluster_ip);
            }
        }
        let externals = self.externals.iter();
        names.extend(externals.map(|(host, (_, address))| (host.clone(), *address)));
        names
    }
}

fn entry(placed: &Placed) -> Entry {
    let service = &placed.service;
    let sidecar = service.exposure != Exposure::NoSidecar;
    Entry {
        namespace: service.namespace.clone(),
        name: service.name.clone(),
        port: service.port,
        cluster_ip: placed.cluster_ip,
        endpoint: placed.endpoint(),
        service_account: sidecar.then(|| service.name.clone()),
        protocol: match service.port_name {
            "grpc" => Protocol::Http2,
            "tcp" => Protocol::Tcp,
            _ => Protocol::Http1,
        },
    }
}
