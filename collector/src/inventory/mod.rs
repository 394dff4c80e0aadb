//! Keeps the inventory as its source says it is, and asks for what that changes.

mod affected;
pub mod directory;
pub(crate) mod follow_directory;
pub(crate) mod kubernetes;

pub(crate) use self::affected::Effect;
