//! The objects that lazymesh reads, trimmed to the fields it reads.
//!
//! Everything else in them is ignored, so an object that uses a newer API than this crate knows is still read,
//! and ten thousand Pods do not carry their annotations and volumes into memory.

mod istio;
mod kubernetes;
mod mesh;
mod meta;
mod mode;

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

pub use istio::{
    AllocatedAddress, Delegate, Destination, DestinationRule, DestinationRuleSpec, HttpMirror,
    HttpRoute, MutualTls, OtherConditions, PeerAuthentication, PeerAuthenticationSpec, PortNumber,
    RouteMatch, ServiceEntry, ServiceEntryPort, ServiceEntrySpec, ServiceEntryStatus, Sidecar,
    SidecarSpecification, StreamRoute, VirtualService, VirtualServiceSpec, WeightedDestination,
};
pub use kubernetes::{
    Endpoint, EndpointConditions, EndpointPort, EndpointSlice, EndpointTarget, Namespace, Pod,
    PodIp, PodSpec, PodStatus, Proxy, Service, ServicePort, ServiceSpec,
};
pub use mesh::{DefaultExportTo, Mesh};
pub use meta::{Annotations, Metadata, OwnerReference, Selector};
pub use mode::Mode;

/// The kinds that lazymesh reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is named after the kind it is")]
pub enum Kind {
    Namespace,
    Service,
    EndpointSlice,
    Pod,
    ServiceEntry,
    VirtualService,
    DestinationRule,
    Sidecar,
    PeerAuthentication,
}

impl Kind {
    fn of(group: &str, kind: &str) -> Option<Self> {
        Some(match (group, kind) {
            ("", "Namespace") => Self::Namespace,
            ("", "Service") => Self::Service,
            ("", "Pod") => Self::Pod,
            ("discovery.k8s.io", "EndpointSlice") => Self::EndpointSlice,
            ("networking.istio.io", "ServiceEntry") => Self::ServiceEntry,
            ("networking.istio.io", "VirtualService") => Self::VirtualService,
            ("networking.istio.io", "DestinationRule") => Self::DestinationRule,
            ("networking.istio.io", "Sidecar") => Self::Sidecar,
            ("security.istio.io", "PeerAuthentication") => Self::PeerAuthentication,
            _ => return None,
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}

/// What names an object: no two objects of a mesh share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectKey {
    /// Kind.
    pub kind: Kind,
    /// Namespace; empty for a Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Namespace => write!(out, "{} {}", self.kind, self.name),
            kind => write!(out, "{kind} {}/{}", self.namespace, self.name),
        }
    }
}

/// An object that lazymesh reads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named after the kind it holds")]
pub enum Object {
    Namespace(Namespace),
    Service(Service),
    EndpointSlice(EndpointSlice),
    Pod(Pod),
    ServiceEntry(ServiceEntry),
    VirtualService(VirtualService),
    DestinationRule(DestinationRule),
    Sidecar(Sidecar),
    PeerAuthentication(PeerAuthentication),
}

/// Why a document is no object.
#[derive(Debug, Error)]
pub enum ObjectError {
    /// It is no map with `apiVersion` and `kind`.
    #[error("not an object: apiVersion and kind are expected")]
    Untyped,
    /// It has no name.
    #[error("{kind}: metadata.name is missing")]
    Unnamed {
        /// The kind it says it is.
        kind: Kind,
    },
    /// A field that lazymesh reads has the wrong type.
    #[error("{kind}: {source}")]
    Malformed {
        /// The kind it says it is.
        kind: Kind,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
}

/// Namespace of an object that names none, as for `kubectl apply`.
const DEFAULT_NAMESPACE: &str = "default";

impl Object {
    /// Reads a document; `None` for a kind that lazymesh does not read.
    ///
    /// # Errors
    /// When the document is no object, or a field that lazymesh reads has the wrong type.
    pub fn from_value(value: Value) -> Result<Option<Self>, ObjectError> {
        let field = |name| {
            value
                .get(name)
                .and_then(Value::as_str)
                .ok_or(ObjectError::Untyped)
        };
        let api_version = field("apiVersion")?;
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let Some(kind) = Kind::of(group, field("kind")?) else {
            return Ok(None);
        };
        let mut object = match kind {
            Kind::Namespace => Self::Namespace(read(kind, value)?),
            Kind::Service => Self::Service(read(kind, value)?),
            Kind::EndpointSlice => Self::EndpointSlice(read(kind, value)?),
            Kind::Pod => Self::Pod(read(kind, value)?),
            Kind::ServiceEntry => Self::ServiceEntry(read(kind, value)?),
            Kind::VirtualService => Self::VirtualService(read(kind, value)?),
            Kind::DestinationRule => Self::DestinationRule(read(kind, value)?),
            Kind::Sidecar => Self::Sidecar(read(kind, value)?),
            Kind::PeerAuthentication => Self::PeerAuthentication(read(kind, value)?),
        };
        object.settle(kind)?;
        Ok(Some(object))
    }

    fn settle(&mut self, kind: Kind) -> Result<(), ObjectError> {
        let metadata = self.metadata_mut();
        if metadata.name.is_empty() {
            return Err(ObjectError::Unnamed { kind });
        }
        if kind == Kind::Namespace {
            metadata.namespace.clear();
        } else if metadata.namespace.is_empty() {
            metadata.namespace.push_str(DEFAULT_NAMESPACE);
        }
        Ok(())
    }

    /// What names this object.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        let metadata = self.metadata();
        ObjectKey {
            kind: self.kind(),
            namespace: metadata.namespace.clone(),
            name: metadata.name.clone(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Namespace(_) => Kind::Namespace,
            Self::Service(_) => Kind::Service,
            Self::EndpointSlice(_) => Kind::EndpointSlice,
            Self::Pod(_) => Kind::Pod,
            Self::ServiceEntry(_) => Kind::ServiceEntry,
            Self::VirtualService(_) => Kind::VirtualService,
            Self::DestinationRule(_) => Kind::DestinationRule,
            Self::Sidecar(_) => Kind::Sidecar,
            Self::PeerAuthentication(_) => Kind::PeerAuthentication,
        }
    }

    fn metadata(&self) -> &Metadata {
        match self {
            Self::Namespace(object) => &object.metadata,
            Self::Service(object) => &object.metadata,
            Self::EndpointSlice(object) => &object.metadata,
            Self::Pod(object) => &object.metadata,
            Self::ServiceEntry(object) => &object.metadata,
            Self::VirtualService(object) => &object.metadata,
            Self::DestinationRule(object) => &object.metadata,
            Self::Sidecar(object) => &object.metadata,
            Self::PeerAuthentication(object) => &object.metadata,
        }
    }

    fn metadata_mut(&mut self) -> &mut Metadata {
        match self {
            Self::Namespace(object) => &mut object.metadata,
            Self::Service(object) => &mut object.metadata,
            Self::EndpointSlice(object) => &mut object.metadata,
            Self::Pod(object) => &mut object.metadata,
            Self::ServiceEntry(object) => &mut object.metadata,
            Self::VirtualService(object) => &mut object.metadata,
            Self::DestinationRule(object) => &mut object.metadata,
            Self::Sidecar(object) => &mut object.metadata,
            Self::PeerAuthentication(object) => &mut object.metadata,
        }
    }
}

fn read<T: DeserializeOwned>(kind: Kind, value: Value) -> Result<T, ObjectError> {
    T::deserialize(value).map_err(|source| ObjectError::Malformed { kind, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_names_and_refuses_what_is_none() {
        let check = |value: Value, expect: &str| {
            let found = match Object::from_value(value) {
                Ok(Some(object)) => object.key().to_string(),
                Ok(None) => "not read".to_owned(),
                Err(error) => error.to_string(),
            };
            assert_eq!(found, expect);
        };
        let metadata =
            json!({"name": "a", "namespace": null, "labels": null, "creationTimestamp": null});
        check(
            json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": null}),
            "Service default/a",
        );
        check(
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "namespace": "x"}}),
            "Namespace a",
        );
        check(
            json!({"apiVersion": "networking.istio.io/v1", "kind": "Gateway"}),
            "not read",
        );
        check(
            json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Service"}),
            "not read",
        );
        check(
            json!([1]),
            "not an object: apiVersion and kind are expected",
        );
        check(
            json!({"kind": "Service"}),
            "not an object: apiVersion and kind are expected",
        );
        check(
            json!({"apiVersion": "v1", "kind": "Pod", "spec": {}}),
            "Pod: metadata.name is missing",
        );
        check(
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 70000}]}}),
            "Service: invalid value: integer `70000`, expected u16",
        );
    }
}
