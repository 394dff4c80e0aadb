//! What lazymesh does on a real Envoy, one behaviour a module.

mod absent;
mod access_log;
mod concurrent;
mod direct;
mod expiry;
mod explain;
mod header;
mod hold;
mod passthrough;
mod registry_only;
mod resolved;
mod restart;
mod streams;
mod tcp;
mod trapping;
mod trouble;
