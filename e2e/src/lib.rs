//! lazymesh on real parts: a real Envoy with the real filter, a real collector, and mTLS backends, on one machine.
//!
//! Nothing here needs root, Kubernetes or Go. A [`Mesh`] owns a /24 of `127.0.0.0/8`, in which every service has its
//! cluster IP and its pod; an application "dials through its sidecar" by telling Envoy the original destination in
//! a PROXY line, which stands in for iptables; [`simulation::istiod`] stands in for istiod: it turns published Sidecars
//! into file-based CDS and RDS in Istio's naming. What lazymesh itself brings is never imitated: filter,
//! attachment and collector are the ones that are shipped.
//!
//! The demo and the benchmarks are built from the same pieces.

pub mod backend;
pub mod bench;
pub mod certificates;
pub mod cgroup;
pub mod client;
pub mod collector;
pub mod demo;
#[cfg(feature = "lab")]
pub mod equivalence;
pub mod exit;
pub mod fake_collector;
#[cfg(feature = "lab")]
pub mod lab;
mod manifests;
pub mod network;
pub mod parts;
pub mod process;
pub mod scenario;
pub mod service;
pub mod simulation;
mod state;
pub mod wait;

pub use service::{Exposure, External, Service};
pub use simulation::{CollectorKind, Filter, Mesh, MeshBuilder};
