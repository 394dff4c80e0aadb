//! Renders the *attachment*: the objects that put the lazymesh filter into every sidecar of a mesh.
//!
//! - a `WasmPlugin`, by which Istio fetches the module and adds the filter to sidecars;
//! - an `EnvoyFilter`, which keeps that filter switched off everywhere but on the catch-all virtual host, and adds
//!   the route and the cluster that its decisions leave through;
//! - a second `WasmPlugin` of the same module, which the `EnvoyFilter` puts into the catch-all filter chains of TCP;
//! - where access logs are wanted, an `EnvoyFilter` more, by which sidecars send them to the collector;
//! - a `Service` without endpoints, the *port anchor*, which keeps the outbound HTTP listeners of a port alive in
//!   sidecars that know no service on it yet.
//!
//! All of it is O(1) in the size of the mesh and the same for every workload, so it is installed once; new modules
//! are rolled out by a new digest. The pieces inside the `EnvoyFilter` are public ([`http_filter`],
//! [`tcp_filter`], [`http_access_log`], [`tcp_access_log`], [`virtual_host_patch`], [`catch_all_route_patch`], [`cluster_header_route`], [`direct_cluster`]) so that a bare
//! Envoy can be given exactly what sidecars get.
//!
//! Nothing here talks to a cluster: the objects are values, and `golden/` shows them.

mod access_log;
mod attachment;
mod check;
mod direct_cluster;
mod envoy_filter;
mod http_filter;
mod port_anchor;
mod route;
mod tcp_filter;
mod version;
mod wasm_plugin;

pub use access_log::{ALS_PORT, AccessLog, http_access_log, tcp_access_log};
pub use attachment::Attachment;
pub use check::AttachmentError;
pub use direct_cluster::direct_cluster;
pub use http_filter::http_filter;
pub use lazymesh_protocol::FilterConfig;
pub use route::{
    CATCH_ALL_VIRTUAL_HOSTS, catch_all_route_patch, cluster_header_route, virtual_host_patch,
};
pub use tcp_filter::tcp_filter;
pub use version::{IstioVersion, UnknownIstioVersion};
