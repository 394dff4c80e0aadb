//! The index of what Kubernetes and Istio say exists.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::mesh::Mesh;
use crate::names::{EgressHost, Workload};
use crate::object::{Object, ObjectKey};

/// What lazymesh does for a workload: label `lazymesh.io/mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Its Sidecar is published.
    Enforce,
    /// Its dependencies are learned, its scope is left alone.
    Learn,
    /// Nothing.
    Off,
}

/// All objects, by what questions ask for.
#[derive(Debug)]
pub struct Inventory {
    mesh: Mesh,
    objects: BTreeMap<ObjectKey, Object>,
}

impl Inventory {
    /// An empty inventory.
    #[must_use]
    pub fn new(mesh: Mesh) -> Self {
        Self {
            mesh,
            objects: BTreeMap::new(),
        }
    }
    /// Adds or replaces an object; `false` if nothing changed.
    pub fn apply(&mut self, object: Object) -> bool {
        let key = object.key();
        let old = self.objects.insert(key.clone(), object);
        old.as_ref() != self.objects.get(&key)
    }
    /// Removes an object; `false` if it was not there.
    pub fn remove(&mut self, key: &ObjectKey) -> bool {
        self.objects.remove(key).is_some()
    }
    /// The names that the mesh's configuration decides.
    #[must_use]
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }
    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
    /// How many Services there are.
    #[must_use]
    pub fn services(&self) -> usize {
        self.objects
            .values()
            .filter(|o| matches!(o, Object::Service(_)))
            .count()
    }
    /// A workload's mode.
    #[must_use]
    pub fn mode(&self, workload: &Workload) -> Mode {
        self.namespace_mode(&workload.namespace)
    }
    /// Every namespace, sorted.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.objects.values().filter_map(|o| match o {
            Object::Namespace(namespace) => Some(namespace.metadata.name.as_str()),
            _ => None,
        })
    }
    /// A namespace's mode.
    #[must_use]
    pub fn namespace_mode(&self, _namespace: &str) -> Mode {
        Mode::Off
    }
    /// The workloads that have pods in a namespace, sorted.
    #[must_use]
    pub fn workloads_in(&self, _namespace: &str) -> Vec<Workload> {
        Vec::new()
    }
    /// The service accounts of a workload's pods.
    #[must_use]
    pub fn service_accounts(&self, _workload: &Workload) -> BTreeSet<String> {
        BTreeSet::new()
    }
    /// The egress host of a Kubernetes Service.
    #[must_use]
    pub fn egress_host_of(&self, _namespace: &str, _service: &str) -> Option<EgressHost> {
        None
    }
}
