//! The rules of lazymesh, and nothing that needs a socket, a clock or a thread.
//!
//! * An [`Inventory`] indexes what Kubernetes and Istio say exists.
//! * A [`Graph`] remembers which workload needs which egress host.
//! * [`decide`] answers one [`Question`] of a sidecar from the two.
//! * [`plan`] turns the two and a [`Policy`] into a Sidecar, or says why there is none.
//! * [`roll_out`] leads a Sidecar from the scope it has to the one it is to have.
//! * [`expired`] says what leaves a scope, since nobody has seen it for long.
//! * [`explain`] says of one call what they make of it, and why.
//!
//! All of it is pure: the same objects and the same graph give the same answer, in whatever order they came.
//! There is no I/O and no async here; the collector brings both.
//!
//! A first request, from the objects of a mesh to the Sidecar that it leads to:
//!
//! ```
//! use lazymesh_core::{
//!     Dependency, Graph, Inventory, Learned, Limits, Mesh, Object, Origin, Plan, Policy, Question, Sightings, Subject,
//!     decide, plan,
//! };
//! use lazymesh_protocol::{Decision, Protocol, ResolveRequest, Source};
//! use serde_json::json;
//!
//! let mut inventory = Inventory::new(Mesh::default());
//! for object in [
//!     json!({ "apiVersion": "v1", "kind": "Namespace",
//!         "metadata": { "name": "shop", "labels": { "lazymesh.io/mode": "enforce" } } }),
//!     json!({ "apiVersion": "v1", "kind": "Service",
//!         "metadata": { "name": "reviews", "namespace": "shop" },
//!         "spec": { "clusterIP": "10.96.0.10", "ports": [{ "name": "http", "port": 80 }] } }),
//! ] {
//!     inventory.apply(Object::from_value(object)?.expect("a kind that counts"));
//! }
//! let mut graph = Graph::new(Limits::default());
//!
//! // What a sidecar asks when its catch-all virtual host meets the request.
//! let question = Question::try_from(&ResolveRequest {
//!     source: Source { namespace: "shop".into(), workload: "web".into(), cluster: None, service_account: None },
//!     authority: Some("reviews:80".into()),
//!     destination: Some("10.96.0.10:80".into()),
//!     protocol: Protocol::Http,
//! })?;
//! let policy = Policy::default();
//! let outcome = decide(&inventory, &graph, &policy, &question);
//! // No endpoint is known to speak mTLS, so the request waits for the host's own cluster.
//! assert!(matches!(outcome.decision, Decision::Hold { .. }));
//!
//! let Learned::Host(host) = outcome.learned else { panic!("nothing was learned") };
//! graph.insert(Dependency {
//!     source: question.source.clone(),
//!     host: host.clone(),
//!     first_seen_ms: 0,
//!     last_seen_ms: 0,
//!     count: 1,
//!     origin: Origin::Learned,
//!     sightings: Sightings::default(),
//! });
//! let plan = plan(&inventory, &graph, &policy, &Subject::Workload(question.source));
//! assert!(matches!(plan, Plan::Publish(sidecar) if sidecar.hosts.contains(&host)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod decide;
mod explain;
mod graph;
mod inventory;
mod misfit;
mod names;
mod resolve;
pub mod resource;
mod scope;

pub use decide::{Ground, NotDirect, Outcome, decide, observe};
pub use explain::{Call, Explanation, Meant, explain};
pub use graph::{
    Dependency, ExternalHost, Graph, Learned, Limits, Origin, Picture, Room, Seen, Sightings,
    Witness,
};
pub use inventory::{Affected, Change, Inventory, MANAGED_BY, Subject};
pub use misfit::{Misfit, Unreadable, fit, fit_json};
pub use names::{
    Authority, AuthorityError, ClusterId, EgressHost, Host, NameError, Spiffe, Workload,
    XfccElement, is_object_name,
};
pub use resolve::{Question, QuestionError};
pub use resource::{
    Canary, DefaultExportTo, DestinationRule, ENFORCE_PERCENT_LABEL, EndpointSlice, Kind, KindApi,
    LabelSelector, MODE_LABEL, Mesh, Mode, ModeError, Namespace, Object, ObjectError, ObjectKey,
    PeerAuthentication, Pod, Presence, Service, ServiceEntry, Sidecar, TTL_LABEL, Ttl, TtlError,
    VirtualService,
};
pub use scope::{
    AlwaysVisible, Bounds, Calls, Cause, Confidence, DEFAULT_NAME as DEFAULT_SIDECAR, EgressScope,
    Estimate, Expiry, Filters, Footprint, Gap, Limit, Plan, Policy, Reason, Revert, Rollout, Rule,
    SidecarSpec, Stage, Standing, Symptom, Symptoms, Transit, Visibility, Wide, always_visible_in,
    confidence, estimate, expired, obstacle, plan, roll_out, sidecar_name,
};
