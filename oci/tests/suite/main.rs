//! The crate from the outside: a registry in memory, and a directory.

mod evidence;
mod hostile;
mod layout;
mod push;
mod signature;
#[path = "../support/mod.rs"]
mod support;
