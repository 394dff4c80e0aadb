//! The real binary, against a collector in this process.

mod clients;
mod collector;
mod forms;
mod health;
mod help;
mod lazymesh;
mod mesh;
mod oci;
mod strangers;
