//! Where the dependency graph outlives the collector.
//!
//! A report is acknowledged only after [`Store::commit`] returned, and `commit` returns only when the change
//! survives kill -9 and a power cut. Everything else in here follows from that sentence:
//!
//! - [`group_commit`](self) puts one writer thread between the callers and the disk: it takes everything that
//!   is queued, writes it as one batch, syncs once and then wakes all of its callers. A disk that needs 4 ms
//!   for a sync still takes thousands of new dependencies a second.
//! - A write that failed is never tried again. After a failed fsync Linux marks the lost pages clean, so the next
//!   fsync succeeds without having written them ("fsyncgate"). The store refuses every further commit
//!   until it is opened anew.
//! - The form on disk ([`record`](self)) is separate from the types of `lazymesh_core`, and has a version.
//! - What is read is what was written, or nothing: each record has a checksum, a `ledger` counts them, and a
//!   `seal` says which commit was the last. Damage is an error; somebody has to say that it is accepted, and then
//!   a copy of it is kept.
//! - When and how often known things were used is no change of the graph: `usage`, a file of its own, is written now and then.
//! - What is committed is where the next start finds it: a data directory that was removed or replaced ends the
//!   store.
//!
//! Deliberately absent: queries. The graph in memory answers those; the store is read once, at the start.

mod audit;
mod checked;
mod engine;
mod error;
#[cfg(test)]
mod fixtures;
mod group_commit;
mod keys;
mod ledger;
mod record;
mod salvage;
mod schema;
mod seal;
mod sled;
mod usage;
mod used;

use async_trait::async_trait;
use futures::stream::BoxStream;
use lazymesh_core::{Dependency, EgressHost, ExternalHost, Revert, Workload};

pub use self::error::StoreError;
pub use self::sled::SledStore;

/// One durable change of the graph. The last change to a record wins.
#[derive(Clone, Debug)]
pub enum Change {
    /// Writes this dependency, over what the store has for its source and host.
    Dependency(Dependency),
    /// Writes this external host, over what the store has for its source and host.
    External(ExternalHost),
    /// Takes a dependency out; nothing happens when there is none.
    RemoveDependency {
        /// Who depended.
        source: Workload,
        /// On what.
        host: EgressHost,
    },
    /// As [`Change::RemoveDependency`], for a host outside the mesh.
    RemoveExternal {
        /// Who called it.
        source: Workload,
        /// What was called.
        host: String,
    },
    /// Writes that the canary of a namespace failed, over what the store has for the namespace.
    Revert(Revert),
    /// Takes that out; nothing happens when there is none.
    Resume {
        /// The namespace.
        namespace: String,
    },
}

/// Everything that a store holds, or a part of it.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// In the order of source and host.
    pub dependencies: Vec<Dependency>,
    /// In the order of source and host.
    pub externals: Vec<ExternalHost>,
    /// In the order of namespaces.
    pub reverts: Vec<Revert>,
}

impl Snapshot {
    /// How many records it has.
    pub(crate) fn len(&self) -> usize {
        self.dependencies.len() + self.externals.len() + self.reverts.len()
    }

    /// Brings it into the order of source and host, which is not quite that of keys.
    fn sort(&mut self) {
        let dependencies = &mut self.dependencies;
        dependencies.sort_by(|a, b| (&a.source, &a.host).cmp(&(&b.source, &b.host)));
        let externals = &mut self.externals;
        externals.sort_by(|a, b| (&a.source, &a.host).cmp(&(&b.source, &b.host)));
    }
}

/// A durable home for the graph.
#[async_trait]
pub trait Store: Send + Sync {
    /// Reads everything, after all commits that were queued before.
    ///
    /// # Errors
    /// [`StoreError`] when not all of it can be read.
    async fn load(&self) -> Result<Snapshot, StoreError>;

    /// Makes the changes durable, all of them or none. Returns when they survive a power cut.
    ///
    /// A caller that stops waiting does not take its changes back.
    ///
    /// # Errors
    /// On any error the changes must be taken for lost. After [`StoreError::Write`] every further commit is
    /// refused with [`StoreError::Refused`].
    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError>;

    /// Writes down when and how often these, which were committed before, were used since, in the place of what was written of
    /// that before. Nothing but that is at stake when it fails.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written; what was there before stays.
    async fn write_usage(&self, uses: BoxStream<'_, Snapshot>) -> Result<(), StoreError>;

    /// Finishes what is queued and lets go of the files. Closing again does nothing.
    ///
    /// # Errors
    /// [`StoreError::WriterDied`] when the writer thread had ended before.
    async fn close(&self) -> Result<(), StoreError>;
}
