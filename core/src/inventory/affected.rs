//! Tells which Sidecars a change has a part in.
//!
//! Endpoints and pods come and go all the time in a large mesh. Were every Sidecar planned again each time, the cost
//! of a roll-out would be pods times workloads.

use std::collections::BTreeSet;
use std::fmt;

use super::user_sidecars::is_ours;
use super::{Inventory, Pod};
use crate::names::Workload;
use crate::resource::{Kind, Object, ObjectKey};

/// Whom one Sidecar is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Every workload of a namespace that has no Sidecar of its own.
    Namespace(String),
    /// One workload.
    Workload(Workload),
}

impl Subject {
    /// The namespace that it is in.
    #[must_use]
    pub fn namespace(&self) -> &str {
        match self {
            Self::Namespace(namespace) => namespace,
            Self::Workload(workload) => &workload.namespace,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(namespace) => out.write_str(namespace),
            Self::Workload(workload) => workload.fmt(out),
        }
    }
}

/// What came of changes. For all whom it does not name, the plan is what it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affected {
    /// How many objects differ.
    pub changed: usize,
    /// Whether Services or ServiceEntries in the mesh may be among them, or addresses in new prefixes, on which depends what every
    /// sidecar must see and its filter must know.
    pub hosts: bool,
    /// Whether everybody's Sidecar must be planned again.
    pub everything: bool,
    /// Whose Sidecars must be planned again in any case; some may be gone, and have one to withdraw.
    pub subjects: BTreeSet<Subject>,
}

impl Affected {
    pub(super) fn by(key: &ObjectKey) -> Self {
        Self {
            changed: 1,
            hosts: matches!(key.kind, Kind::Service | Kind::ServiceEntry),
            ..Self::default()
        }
    }

    /// Adds what came of another change.
    pub fn merge(&mut self, other: Self) {
        self.changed += other.changed;
        self.hosts |= other.hosts;
        self.everything |= other.everything;
        self.subjects.extend(other.subjects);
    }

    pub(super) fn reach(&mut self, reach: Reach) {
        match reach {
            Reach::Nothing => {}
            Reach::Namespace(namespace) => {
                self.subjects.insert(Subject::Namespace(namespace));
            }
            Reach::Workload(workload) => {
                let namespace = workload.namespace.clone();
                self.subjects.insert(Subject::Namespace(namespace));
                self.subjects.insert(Subject::Workload(workload));
            }
            Reach::Everything => self.everything = true,
        }
    }
}

/// The Sidecars whose plans an object may count for.
pub(super) enum Reach {
    /// None.
    Nothing,
    /// The one of a namespace.
    Namespace(String),
    /// One workload's, and the one of its namespace.
    Workload(Workload),
    /// Any.
    Everything,
}

impl Inventory {
    /// The plans that an object counts for as it is now. Of a change, the reach before and the reach after count.
    pub(super) fn reach(&self, key: &ObjectKey) -> Reach {
        match self.object(key) {
            // They say how a request gets to a service, not which services there are.
            None | Some(Object::EndpointSlice(_) | Object::PeerAuthentication(_)) => Reach::Nothing,
            // A person may turn ours into theirs; then it was ours before.
            Some(Object::Sidecar(sidecar)) if is_ours(&sidecar.metadata) => Reach::Nothing,
            Some(Object::Pod(_)) => {
                let pod = self.pods.named(&key.cluster, &key.namespace, &key.name);
                match pod.map(Pod::workload) {
                    Some(Some(workload)) => Reach::Workload(workload),
                    Some(None) => Reach::Namespace(key.namespace.clone()),
                    None => Reach::Nothing,
                }
            }
            Some(_) => Reach::Everything,
        }
    }

    /// Everybody in a namespace who may have a Sidecar.
    pub(super) fn subjects_in(&self, namespace: &str) -> impl Iterator<Item = Subject> {
        let workloads = self.pods.workloads_in(namespace).cloned();
        let workloads = workloads.map(Subject::Workload);
        std::iter::once(Subject::Namespace(namespace.to_owned())).chain(workloads)
    }
}
