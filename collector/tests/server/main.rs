//! A whole collector: listeners, store, manifests, published Sidecars.

mod canary;
mod connections;
mod events;
mod forgetting;
mod lifetime;
mod listeners;
mod mesh;
mod prometheus;
mod publishing;
mod running;
mod spans;
mod unusable;
