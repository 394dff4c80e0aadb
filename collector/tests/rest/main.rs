//! The REST API as its clients see it: both routers, called without a socket.
//!
//! Whatever a test asks, [`api::Api`] also checks the answer against the OpenAPI document.

mod access_log;
mod always_visible;
mod api;
mod bad_input;
mod document;
mod events;
mod explain;
mod failures;
mod graph;
mod identity;
mod ingest;
mod mesh;
mod operations;
mod paging;
mod plan;
mod sidecars;
mod store;
mod token;
mod workloads;
