//! Keeps the inventory as its source says it is, and announces what that affects.

pub mod directory;
mod follow;
pub(crate) mod kubernetes;
mod manifests;
mod source;

pub(crate) use self::follow::Follower;
pub(crate) use self::manifests::Manifests;
pub(crate) use self::source::{Source, Update};
