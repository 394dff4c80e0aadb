//! Writes down now and then when known things were last used, and how often.
//!
//! A use of something known is counted in memory only: losing the last half minute of it in a crash costs
//! nothing but a little precision, and a write for every request would cost everything.

use std::sync::atomic::Ordering;

use lazymesh_core::Workload;

use crate::runtime::clock::now_ms;
use crate::state::Collector;
use crate::store::{Change, StoreError};

/// Most changes in one write, so that new dependencies never wait long behind it.
const CHUNK: usize = 1_000;

impl Collector {
    /// Writes everything that was used since this was last called with success.
    ///
    /// # Errors
    /// What was written up to then stays, and is written once more the next time.
    pub async fn flush_usage(&self) -> Result<(), StoreError> {
        let (since_ms, now_ms) = (self.usage_flushed_ms.load(Ordering::Acquire), now_ms());
        self.write_usage(since_ms).await?;
        self.usage_flushed_ms.store(now_ms, Ordering::Release);
        Ok(())
    }

    /// Writes down what is known, for the last time, and closes the store.
    ///
    /// # Errors
    /// What was acknowledged is durable all the same.
    pub async fn close(&self) -> Result<(), StoreError> {
        let flushed = self.flush_usage().await;
        self.store.close().await?;
        flushed
    }

    async fn write_usage(&self, since_ms: u64) -> Result<(), StoreError> {
        let workloads: Vec<Workload> = self.look().graph.workloads().cloned().collect();
        let mut changes = self.used_externals(since_ms);
        for workload in &workloads {
            changes.extend(self.used_dependencies(workload, since_ms));
            if changes.len() >= CHUNK {
                self.commit(std::mem::take(&mut changes)).await?;
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        self.commit(changes).await
    }

    fn used_dependencies(&self, workload: &Workload, since_ms: u64) -> Vec<Change> {
        let knowledge = self.look();
        let dependencies = knowledge.graph.dependencies(workload);
        let used = dependencies.filter(|dependency| dependency.last_seen_ms >= since_ms);
        used.cloned().map(Change::Dependency).collect()
    }

    fn used_externals(&self, since_ms: u64) -> Vec<Change> {
        let knowledge = self.look();
        let used = knowledge
            .graph
            .externals()
            .filter(|external| external.last_seen_ms >= since_ms);
        used.cloned().map(Change::External).collect()
    }
}
