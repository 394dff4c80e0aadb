//! Puts every kind into the indexes that questions about it are answered from.

use super::callees::Callees;
use super::user_sidecars::is_ours;
use super::{Inventory, gamma, mesh_service, prefixes};
use crate::resource::{
    Canary, DestinationRule, EndpointSlice, EnvoyFilter, GRPCRoute, HTTPRoute, Kind, Mode,
    Namespace, Object, PeerAuthentication, Pod, RequestAuthentication, Service, ServiceEntry,
    Sidecar, Ttl, VirtualService, WasmPlugin, kinds,
};

/// An object that can be looked up by more than its key.
pub(super) trait Indexed {
    /// Puts it into its indexes.
    fn insert(&self, inventory: &mut Inventory);
    /// Takes it out of them again.
    fn remove(&self, inventory: &mut Inventory);
}

macro_rules! define {
    ($($kind:ident $group:literal $version:literal $plural:literal $scope:ident $presence:ident;)*) => {
        /// The object as what is indexed.
        pub(super) fn of(object: &Object) -> &dyn Indexed {
            match object {
                $(Object::$kind(object) => object,)*
            }
        }
    };
}
kinds!(define);

impl Indexed for Namespace {
    fn insert(&self, inventory: &mut Inventory) {
        let mode = Mode::of(&self.metadata.labels);
        inventory.modes.insert(self.metadata.name.clone(), mode);
        if let Some(canary) = Canary::of(&self.metadata.labels) {
            inventory
                .canaries
                .insert(self.metadata.name.clone(), canary);
        }
        if let Some(ttl) = Ttl::of(&self.metadata.labels) {
            inventory.ttls.insert(self.metadata.name.clone(), ttl);
        }
    }

    fn remove(&self, inventory: &mut Inventory) {
        inventory.modes.remove(&self.metadata.name);
        inventory.canaries.remove(&self.metadata.name);
        inventory.ttls.remove(&self.metadata.name);
    }
}

impl Indexed for Service {
    fn insert(&self, inventory: &mut Inventory) {
        inventory.services_count += 1;
        if let Some(service) = mesh_service::of_service(self, &inventory.mesh) {
            if !is_ours(&self.metadata) {
                inventory.ports.insert(&service);
            }
            inventory.prefixes.insert(prefixes::of_service(&service));
            inventory.services.insert(service);
        }
    }

    fn remove(&self, inventory: &mut Inventory) {
        inventory.services_count -= 1;
        if let Some(service) = mesh_service::of_service(self, &inventory.mesh) {
            if !is_ours(&self.metadata) {
                inventory.ports.remove(&service);
            }
            inventory.prefixes.remove(prefixes::of_service(&service));
            inventory.services.remove(&service);
        }
    }
}

impl Indexed for ServiceEntry {
    fn insert(&self, inventory: &mut Inventory) {
        for service in mesh_service::of_entry(self, &inventory.mesh) {
            inventory.ports.insert(&service);
            inventory.prefixes.insert(prefixes::of_service(&service));
            inventory.services.insert(service);
        }
        inventory.dns.insert(self, &inventory.mesh);
        inventory.attach(&self.metadata, Some(self.spec.hosts.clone()));
    }

    fn remove(&self, inventory: &mut Inventory) {
        for service in mesh_service::of_entry(self, &inventory.mesh) {
            inventory.ports.remove(&service);
            inventory.prefixes.remove(prefixes::of_service(&service));
            inventory.services.remove(&service);
        }
        inventory.dns.remove(self, &inventory.mesh);
        inventory.attach(&self.metadata, None);
    }
}

impl Indexed for EndpointSlice {
    fn insert(&self, inventory: &mut Inventory) {
        let cluster = &self.metadata.cluster;
        inventory.endpoints.entry(cluster).insert(self);
        inventory.prefixes.insert(prefixes::of_slice(self));
    }

    fn remove(&self, inventory: &mut Inventory) {
        let cluster = &self.metadata.cluster;
        inventory.endpoints.entry(cluster).remove(self);
        inventory.prefixes.remove(prefixes::of_slice(self));
    }
}

impl Indexed for Pod {
    fn insert(&self, inventory: &mut Inventory) {
        inventory.pods.entry(&self.metadata.cluster).insert(self);
    }

    fn remove(&self, inventory: &mut Inventory) {
        let metadata = &self.metadata;
        let pods = inventory.pods.entry(&metadata.cluster);
        pods.remove(&metadata.namespace, &metadata.name);
    }
}

impl Indexed for VirtualService {
    fn insert(&self, inventory: &mut Inventory) {
        inventory.routes.insert(self, &inventory.mesh);
    }

    fn remove(&self, inventory: &mut Inventory) {
        inventory.routes.remove(self, &inventory.mesh);
    }
}

macro_rules! gateway_api {
    ($($kind:ident)*) => {$(
        impl Indexed for $kind {
            fn insert(&self, inventory: &mut Inventory) {
                for route in gamma::routes(self, &inventory.mesh, &inventory.attached.hosts) {
                    inventory.routes.insert_route(route);
                }
                for (namespace, name) in gamma::entries(self) {
                    let route = Object::$kind(self.clone());
                    inventory.attached.insert(namespace, name, route);
                }
            }

            fn remove(&self, inventory: &mut Inventory) {
                for route in gamma::routes(self, &inventory.mesh, &inventory.attached.hosts) {
                    inventory.routes.remove_route(&route);
                }
                for (namespace, name) in gamma::entries(self) {
                    let route = Object::$kind(self.clone());
                    inventory.attached.remove(namespace, name, &route.key());
                }
            }
        }
    )*};
}
gateway_api!(HTTPRoute GRPCRoute);

impl Indexed for DestinationRule {
    fn insert(&self, inventory: &mut Inventory) {
        inventory.rules.insert(self, &inventory.mesh);
    }

    fn remove(&self, inventory: &mut Inventory) {
        inventory.rules.remove(self, &inventory.mesh);
    }
}

impl Indexed for Sidecar {
    fn insert(&self, inventory: &mut Inventory) {
        inventory.user_sidecars.insert(self);
        inventory.set_bounds();
    }

    fn remove(&self, inventory: &mut Inventory) {
        let (namespace, name) = (&self.metadata.namespace, &self.metadata.name);
        inventory.user_sidecars.remove(namespace, name);
        inventory.set_bounds();
    }
}

impl Indexed for PeerAuthentication {
    fn insert(&self, inventory: &mut Inventory) {
        inventory.peers.insert(self);
    }

    fn remove(&self, inventory: &mut Inventory) {
        let metadata = &self.metadata;
        inventory.peers.remove(&metadata.namespace, &metadata.name);
    }
}

macro_rules! callees {
    ($($kind:ident by $read:ident;)*) => {$(
        impl Indexed for $kind {
            fn insert(&self, inventory: &mut Inventory) {
                let callees = Callees::$read(self);
                inventory.callees.insert(Kind::$kind, &self.metadata, callees);
            }

            fn remove(&self, inventory: &mut Inventory) {
                inventory.callees.remove(Kind::$kind, &self.metadata);
            }
        }
    )*};
}
callees! {
    EnvoyFilter by of_filter;
    WasmPlugin by of_plugin;
    RequestAuthentication by of_authentication;
}
