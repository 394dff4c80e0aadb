//! What the lazymesh filter and its collector say to each other, and nothing else.
//!
//! The wire is JSON over HTTP/1.1: `POST /v1/resolve` carries a [`ResolveRequest`] and is answered by a
//! [`ResolveResponse`]; `POST /v1/reports` carries a [`Reports`] and is answered by a [`ReportsResponse`].
//! Errors are RFC 9457 problem documents, which the filter never reads: to it, 4xx (but 408 and 429) says that this one
//! question is refused, and any other status but 200 that the collector has failed.
//!
//! Unknown fields are ignored on both sides, so that a filter and a collector of neighbouring versions
//! understand each other while a mesh is being upgraded.
//!
//! ```
//! use lazymesh_protocol::{Decision, Protocol, ResolveRequest, ResolveResponse, Source};
//!
//! let question = ResolveRequest {
//!     source: Source { namespace: "shop".into(), workload: "web".into(), cluster: None, service_account: None },
//!     authority: Some("reviews:80".into()),
//!     destination: Some("10.96.0.10:80".into()),
//!     protocol: Protocol::Http,
//! };
//! assert_eq!(
//!     serde_json::to_string(&question)?,
//!     r#"{"source":{"namespace":"shop","workload":"web"},"authority":"reviews:80","destination":"10.96.0.10:80","protocol":"http"}"#,
//! );
//!
//! let answer: ResolveResponse = serde_json::from_str(
//!     r#"{"decision":"passthrough","reason":"external","ttl_ms":60000,"of_a_later_version":true}"#,
//! )?;
//! assert!(matches!(answer.decision, Decision::Passthrough { .. }));
//! # Ok::<(), serde_json::Error>(())
//! ```

mod answer;
mod config;
mod report;
mod resolve;

pub use config::FilterConfig;
pub use report::{RejectedReport, Report, Reports, ReportsResponse, Trouble};
pub use resolve::{
    Decision, PassthroughReason, Protocol, ResolveRequest, ResolveResponse, Share, Source,
};

/// Path of the collector's ingest endpoint that answers a [`ResolveRequest`].
pub const RESOLVE_PATH: &str = "/v1/resolve";
/// Path of the collector's ingest endpoint that takes [`Reports`].
pub const REPORTS_PATH: &str = "/v1/reports";

/// Labels of a pod that name its workload, in Istio's order (`CanonicalService` in `pkg/kube/labels`). The injector writes the
/// first.
pub const CANONICAL_NAME_LABELS: [&str; 3] = [
    "service.istio.io/canonical-name",
    "app.kubernetes.io/name",
    "app",
];

/// Request header by which the filter names the cluster a request leaves through. The catch-all virtual
/// host has a route with `cluster_header` on it; the header never leaves the sidecar.
pub const CLUSTER_HEADER: &str = "x-lazymesh-cluster";
/// Name under which the filter sets `1`, by `set_property`, on a request whose cluster it has chosen: Envoy keeps it as
/// filter state `wasm.lazymesh`. The route of [`CLUSTER_HEADER`] asks for it, because an application can set the
/// header, but not this.
pub const CHOSEN_PROPERTY: &str = "lazymesh";
/// Name of the ORIGINAL_DST cluster with Istio mTLS that [`Decision::Direct`] sends through.
pub const DIRECT_CLUSTER: &str = "lazymesh-direct";
/// Istio's cluster for traffic to anywhere, as the application dialled it.
pub const PASSTHROUGH_CLUSTER: &str = "PassthroughCluster";

/// Largest authority, in bytes, that either side looks at: a DNS name of 253 bytes, a trailing dot, and `:65535`.
pub const MAX_AUTHORITY_BYTES: usize = 260;
/// Largest body of a [`ResolveRequest`], in bytes, that the collector reads.
pub const MAX_RESOLVE_BYTES: usize = 8 * 1024;
/// Largest body of [`Reports`], in bytes, that the collector reads.
pub const MAX_REPORTS_BYTES: usize = 256 * 1024;
/// Most items in one [`Reports`].
pub const MAX_REPORTS: usize = 256;
/// Largest answer, in bytes, that the filter reads.
pub const MAX_RESPONSE_BYTES: usize = 16 * 1024;
/// Most service accounts in one [`Decision::Direct`]; a service with more is held instead.
pub const MAX_SUBJECT_ALT_NAMES: usize = 32;
/// Most prefixes in [`FilterConfig::mesh_prefixes`].
pub const MAX_MESH_PREFIXES: usize = 256;
/// Most clusters that one [`Decision::Hold`] splits requests over; with more all wait for the heaviest.
pub const MAX_SHARES: usize = 32;
