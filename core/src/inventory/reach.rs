//! Which Sidecars an object has a part in.
//!
//! Endpoints and pods come and go all the time in a large mesh. Were every Sidecar planned again each time, the cost
//! of a roll-out would be pods times workloads.

use super::user_sidecars::is_ours;
use super::{Inventory, Pod};
use crate::names::Workload;
use crate::resource::{Object, ObjectKey};

/// The Sidecars whose plans an object may count for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
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
    /// The plans that an object of the inventory counts for as it is now: `plan_workload` and `plan_namespace` give the
    /// same without it for all others. Of a change, the reach before and the reach after count.
    #[must_use]
    pub fn reach(&self, key: &ObjectKey) -> Reach {
        match self.objects.get(key) {
            // They say how a request gets to a service, not which services there are.
            None
            | Some(
                Object::EndpointSlice(_)
                | Object::DestinationRule(_)
                | Object::PeerAuthentication(_),
            ) => Reach::Nothing,
            // A person may turn ours into theirs; then it was ours before.
            Some(Object::Sidecar(sidecar)) if is_ours(&sidecar.metadata) => Reach::Nothing,
            Some(Object::Pod(_)) => {
                let pod = self.pods.get(&key.namespace, &key.name);
                match pod.map(Pod::workload) {
                    Some(Some(workload)) => Reach::Workload(workload),
                    Some(None) => Reach::Namespace(key.namespace.clone()),
                    None => Reach::Nothing,
                }
            }
            Some(
                Object::Namespace(_)
                | Object::Service(_)
                | Object::ServiceEntry(_)
                | Object::VirtualService(_)
                | Object::Sidecar(_),
            ) => Reach::Everything,
        }
    }
}
