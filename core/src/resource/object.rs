//! Reads objects of every kind in the table.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

use super::kind::{Kind, Scope, kinds};
use super::meta::Metadata;
use crate::misfit::{Misfit, fit};
use crate::names::ClusterId;

/// What names an object: no two objects of a mesh share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Kind.
    pub kind: Kind,
    /// Namespace; empty for a kind that has none.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// The cluster that has it.
    pub cluster: ClusterId,
}

impl ObjectKey {
    /// The key of an object of a kind, in a cluster that nobody has named.
    #[must_use]
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind,
            namespace: namespace.into(),
            name: name.into(),
            cluster: ClusterId::default(),
        }
    }

    /// The key of what has the same name in a cluster.
    #[must_use]
    pub fn in_cluster(self, cluster: &ClusterId) -> Self {
        let cluster = cluster.clone();
        Self { cluster, ..self }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind.api().scope {
            Scope::Cluster => write!(out, "{} {}", self.kind, self.name),
            Scope::Namespaced => write!(out, "{} {}/{}", self.kind, self.namespace, self.name),
        }
    }
}

/// Why a document is not an object.
#[derive(Debug, Error)]
pub enum ObjectError {
    /// It is not a map with `apiVersion` and `kind`.
    #[error("expected an object with apiVersion and kind, got something else")]
    Untyped,
    /// It has no name.
    #[error("{kind}: metadata.name is missing")]
    Unnamed {
        /// The kind it says it is.
        kind: Kind,
    },
    /// A field that lazymesh reads is not what it should be.
    #[error("{kind}: {misfit}")]
    Malformed {
        /// The kind it says it is.
        kind: Kind,
        /// Which field, and what it should be.
        misfit: Misfit,
    },
}

/// Namespace of an object that names none, as for `kubectl apply`.
const DEFAULT_NAMESPACE: &str = "default";

macro_rules! define {
    ($($kind:ident $group:literal $version:literal $plural:literal $scope:ident $presence:ident;)*) => {
        /// An object that lazymesh reads.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each is named after the kind it holds")]
        pub enum Object {
            $($kind(super::$kind),)*
        }

        impl Object {
            fn read(kind: Kind, value: &Value) -> Result<Self, ObjectError> {
                Ok(match kind {
                    $(Kind::$kind => Self::$kind(read(kind, value)?),)*
                })
            }

            /// Its kind.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind(_) => Kind::$kind,)*
                }
            }

            /// Its name and labels.
            #[must_use]
            pub fn metadata(&self) -> &Metadata {
                match self {
                    $(Self::$kind(object) => &object.metadata,)*
                }
            }

            fn metadata_mut(&mut self) -> &mut Metadata {
                match self {
                    $(Self::$kind(object) => &mut object.metadata,)*
                }
            }
        }
    };
}
kinds!(define);

impl Object {
    /// Reads a document; `None` for a kind that lazymesh does not read.
    ///
    /// # Errors
    /// When the document is not an object, or a field that lazymesh reads has the wrong type.
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
        let mut object = Self::read(kind, &value)?;
        object.complete(kind)?;
        Ok(Some(object))
    }

    fn complete(&mut self, kind: Kind) -> Result<(), ObjectError> {
        let metadata = self.metadata_mut();
        if metadata.name.is_empty() {
            return Err(ObjectError::Unnamed { kind });
        }
        match kind.api().scope {
            Scope::Cluster => metadata.namespace.clear(),
            Scope::Namespaced if metadata.namespace.is_empty() => {
                metadata.namespace.push_str(DEFAULT_NAMESPACE);
            }
            Scope::Namespaced => {}
        }
        Ok(())
    }

    /// The same object, as one of a cluster.
    #[must_use]
    pub fn in_cluster(mut self, cluster: &ClusterId) -> Self {
        self.metadata_mut().cluster = cluster.clone();
        self
    }

    /// What names this object.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        let metadata = self.metadata();
        ObjectKey::new(
            self.kind(),
            metadata.namespace.as_str(),
            metadata.name.as_str(),
        )
        .in_cluster(&metadata.cluster)
    }
}

fn read<T: DeserializeOwned>(kind: Kind, value: &Value) -> Result<T, ObjectError> {
    fit(value).map_err(|misfit| ObjectError::Malformed { kind, misfit })
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
            "expected an object with apiVersion and kind, got something else",
        );
        check(
            json!({"kind": "Service"}),
            "expected an object with apiVersion and kind, got something else",
        );
        check(
            json!({"apiVersion": "v1", "kind": "Pod", "spec": {}}),
            "Pod: metadata.name is missing",
        );
        check(
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 70000}]}}),
            "Service: spec.ports[0].port: expected a whole number from 0 to 65535, got 70000",
        );
    }
}
