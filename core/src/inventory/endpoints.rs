//! Indexes the endpoints of Kubernetes Services in each cluster, by service and by address.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use super::clusters::Clusters;
use super::namespaced::Namespaced;
use crate::names::ClusterId;
use crate::resource;

const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// The part of a service's endpoints that one EndpointSlice has.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) endpoints: Vec<Endpoint>,
    ports: Vec<resource::EndpointPort>,
}

/// One endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) ready: bool,
    /// Name of its pod, where the slice says so.
    pub(crate) pod: Option<String>,
}

impl Slice {
    /// The number that a service's port has on these endpoints.
    pub(crate) fn target_port(&self, name: &str) -> Option<u16> {
        self.ports.iter().find(|port| port.name == name)?.port
    }
}

/// A cluster's endpoints by service, and services by endpoint.
#[derive(Debug, Default)]
pub(crate) struct EndpointIndex {
    slices: Namespaced<BTreeMap<String, Slice>>,
    /// Namespace, service and slice, in which an address is.
    by_address: HashMap<IpAddr, BTreeSet<(String, String, String)>>,
}

impl EndpointIndex {
    pub(crate) fn insert(&mut self, object: &resource::EndpointSlice) {
        let (namespace, name) = (&object.metadata.namespace, &object.metadata.name);
        let Some(service) = object.metadata.labels.get(SERVICE_LABEL) else {
            return;
        };
        let slice = Slice {
            endpoints: object.endpoints.iter().map(read_endpoint).collect(),
            ports: object.ports.clone(),
        };
        for address in slice
            .endpoints
            .iter()
            .flat_map(|endpoint| &endpoint.addresses)
        {
            let places = self.by_address.entry(*address).or_default();
            places.insert((namespace.clone(), service.clone(), name.clone()));
        }
        self.slices
            .entry(namespace, service)
            .insert(name.clone(), slice);
    }

    pub(crate) fn remove(&mut self, object: &resource::EndpointSlice) {
        let (namespace, name) = (&object.metadata.namespace, &object.metadata.name);
        let Some(service) = object.metadata.labels.get(SERVICE_LABEL) else {
            return;
        };
        let Some(slices) = self.slices.get_mut(namespace, service) else {
            return;
        };
        let Some(slice) = slices.remove(name) else {
            return;
        };
        if slices.is_empty() {
            self.slices.remove(namespace, service);
        }
        let place = (namespace.clone(), service.clone(), name.clone());
        for address in slice
            .endpoints
            .iter()
            .flat_map(|endpoint| &endpoint.addresses)
        {
            if let Some(places) = self.by_address.get_mut(address) {
                places.remove(&place);
                if places.is_empty() {
                    self.by_address.remove(address);
                }
            }
        }
    }

    fn slices(&self, namespace: &str, service: &str) -> impl Iterator<Item = &Slice> {
        self.slices
            .get(namespace, service)
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    /// Whether a service's endpoint at an address listens on a port.
    pub(crate) fn listens(
        &self,
        namespace: &str,
        service: &str,
        address: IpAddr,
        port: u16,
    ) -> bool {
        self.slices(namespace, service).any(|slice| {
            // A port without a number is every port.
            slice
                .ports
                .iter()
                .any(|own| own.port.is_none_or(|own| own == port))
                && slice
                    .endpoints
                    .iter()
                    .any(|endpoint| endpoint.addresses.contains(&address))
        })
    }

    /// Whether a service has an endpoint at an address for a port of that name, whatever its number there.
    pub(crate) fn serves(
        &self,
        namespace: &str,
        service: &str,
        address: IpAddr,
        port: &str,
    ) -> bool {
        self.slices(namespace, service).any(|slice| {
            let mut endpoints = slice.endpoints.iter();
            slice.ports.iter().any(|own| own.name == port)
                && endpoints.any(|endpoint| endpoint.addresses.contains(&address))
        })
    }

    /// Namespace and name of the services that have an endpoint at an address.
    pub(crate) fn services_at(&self, address: IpAddr) -> impl Iterator<Item = (&str, &str)> {
        let places = self.by_address.get(&address).into_iter().flatten();
        places.map(|(namespace, service, _)| (namespace.as_str(), service.as_str()))
    }
}

impl Clusters<EndpointIndex> {
    /// The slices of a service, and whose they are.
    pub(crate) fn slices(
        &self,
        namespace: &str,
        service: &str,
    ) -> impl Iterator<Item = (&ClusterId, &Slice)> {
        self.iter().flat_map(move |(cluster, endpoints)| {
            let slices = endpoints.slices(namespace, service);
            slices.map(move |slice| (cluster, slice))
        })
    }
}

fn read_endpoint(endpoint: &resource::Endpoint) -> Endpoint {
    let target = endpoint.target_ref.as_ref();
    Endpoint {
        addresses: endpoint
            .addresses
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect(),
        ready: endpoint.conditions.ready.unwrap_or(true),
        pod: target
            .filter(|target| target.kind == "Pod")
            .map(|target| target.name.clone()),
    }
}
