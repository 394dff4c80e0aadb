//! Names what an inventory source says.

use std::collections::BTreeSet;
use std::future::Future;

use lazymesh_core::{Change, EgressHost, Inventory, Mesh};

/// What there is to know now.
#[derive(Debug)]
pub(crate) enum Update {
    /// Not everything has been read yet; this is missing.
    Waiting(String),
    /// The mesh has another configuration; the first is told when everything has been read.
    Mesh {
        /// What it decides.
        mesh: Mesh,
        /// What changed with it.
        changes: Vec<Change>,
    },
    /// Changes that belong together.
    Changes {
        /// What changed.
        changes: Vec<Change>,
        /// Whether something else of the source's changed, so that every Sidecar has to be looked at.
        stirred: bool,
    },
}

/// Where it is read what is in the mesh.
pub(crate) trait Source: Send {
    /// Waits until there is something to know; `None` when there never will be again. Safe to cancel.
    fn next(&mut self) -> impl Future<Output = Option<Update>> + Send;

    /// Whether all of lazymesh is switched off.
    fn is_off(&self) -> bool {
        false
    }

    /// Whether somebody else has changed a Sidecar of ours since the last call.
    fn take_drift(&mut self) -> bool {
        false
    }

    /// What is there and cannot be used, each with its reason.
    fn unusable(&self) -> Vec<String>;

    /// Hosts that the mesh's configuration makes every sidecar call or ask for.
    fn always_visible(&self, _inventory: &Inventory) -> BTreeSet<EgressHost> {
        BTreeSet::new()
    }
}
