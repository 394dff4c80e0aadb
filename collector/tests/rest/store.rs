//! A store in memory that counts what it is asked for, and waits or fails on demand.

use std::future::ready;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};
use lazymesh_collector::store::{Change, Snapshot, Store, StoreError};
use tokio::sync::watch;

#[derive(Default)]
pub(crate) struct CountingStore {
    commits: AtomicUsize,
    changes: AtomicUsize,
    broken: AtomicBool,
    held: watch::Sender<bool>,
    waiting: AtomicUsize,
}

impl CountingStore {
    /// How many writes there were, and how many changes in them.
    pub(crate) fn written(&self) -> (usize, usize) {
        (
            self.commits.load(Ordering::SeqCst),
            self.changes.load(Ordering::SeqCst),
        )
    }

    /// Has every further write fail.
    pub(crate) fn break_disk(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }

    /// Has every write wait until [`CountingStore::release`].
    pub(crate) fn hold(&self) {
        self.held.send_replace(true);
    }

    /// How many writes have begun while it holds.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    pub(crate) fn release(&self) {
        self.held.send_replace(false);
    }
}

#[async_trait]
impl Store for CountingStore {
    async fn load(&self) -> Result<Snapshot, StoreError> {
        Ok(Snapshot::default())
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _ = self.held.subscribe().wait_for(|held| !held).await;
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError::Write {
                reason: "no space left on /secret/device".to_owned(),
            });
        }
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.changes.fetch_add(changes.len(), Ordering::SeqCst);
        Ok(())
    }

    async fn write_usage(&self, uses: BoxStream<'_, Snapshot>) -> Result<(), StoreError> {
        uses.for_each(|_| ready(())).await;
        Ok(())
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
