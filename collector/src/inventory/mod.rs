//! Keeps the inventory as its source says it is, and asks for what that changes.

pub mod directory;
pub(crate) mod follow_directory;
pub(crate) mod kubernetes;
