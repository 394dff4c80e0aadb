//! The rules of lazymesh, and nothing that needs a socket, a clock or a thread.
//!
//! * An [`Inventory`] indexes what Kubernetes and Istio say exists.
//! * A [`Graph`] remembers which workload needs which egress host.
//! * [`decide`] answers one [`Question`] of a sidecar from the two.
//! * [`plan_workload`] and [`plan_namespace`] turn the two into Sidecars.
//!
//! All of it is pure: the same objects and the same graph give the same answer, in whatever order they came.
//! There is no I/O and no async here; the collector brings both.

mod decide;
mod graph;
mod inventory;
mod names;
mod resolve;
pub mod resource;
mod scope;

pub use decide::{Outcome, decide};
pub use graph::{Dependency, ExternalHost, Graph, Learned, Limits, Origin, dot, mermaid};
pub use inventory::{Affected, Change, Inventory, MANAGED_BY, Subject};
pub use names::{Authority, AuthorityError, EgressHost, Host, NameError, Workload, is_object_name};
pub use resolve::{Question, QuestionError};
pub use resource::{
    DefaultExportTo, DestinationRule, EndpointSlice, Kind, KindApi, LabelSelector, MODE_LABEL,
    Mesh, Mode, Namespace, Object, ObjectError, ObjectKey, PeerAuthentication, Pod, Presence,
    Service, ServiceEntry, Sidecar, VirtualService,
};
pub use scope::{
    DEFAULT_NAME as DEFAULT_SIDECAR, Plan, SidecarSpec, Visibility, plan_namespace, plan_workload,
};
