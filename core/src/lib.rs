//! The rules of lazymesh, and nothing that needs a socket, a clock or a thread.
//!
//! * An [`Inventory`] indexes what Kubernetes and Istio say exists.
//! * A [`Graph`] remembers which workload needs which egress host.
//! * [`decide`] answers one [`Question`] of a sidecar from the two.
//! * [`plan_workload`] and [`plan_namespace`] turn the two into Sidecars.
//!
//! All of it is pure: the same objects and the same graph give the same answer, in whatever order they came.
//! There is no I/O and no async here; the collector brings both.

mod authority;
mod decision;
mod dns;
mod graph;
mod inventory;
mod mesh;
mod names;
pub mod object;
mod question;
mod render;
mod sidecar;

pub use authority::{Authority, AuthorityError, Host};
pub use decision::{Learned, Outcome, decide};
pub use graph::{Dependency, ExternalHost, Graph, Limits, Origin};
pub use inventory::{Inventory, Mode, Reach};
pub use mesh::{DefaultExportTo, Mesh};
pub use names::{EgressHost, NameError, Workload};
pub use object::{
    DestinationRule, EndpointSlice, Kind, Namespace, Object, ObjectError, ObjectKey,
    PeerAuthentication, Pod, Service, ServiceEntry, Sidecar, VirtualService,
};
pub use question::{Question, QuestionError};
pub use render::{dot, mermaid};
pub use sidecar::{
    DEFAULT_NAME as DEFAULT_SIDECAR, Plan, SidecarSpec, Visibility, plan_namespace, plan_workload,
};
