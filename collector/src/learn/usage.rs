//! Writes down now and then when known things were last used, and how often.
//!
//! A use of something known is counted in memory only: losing the last half minute of it in a crash costs
//! nothing but a little precision, and a write for every request would cost everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lazymesh_core::Workload;
use tokio::time::MissedTickBehavior;

use crate::learn::Recorder;
use crate::runtime::clock::now_ms;
use crate::state::SharedView;
use crate::store::{Change, StoreError};

/// How often uses are written down.
const INTERVAL: Duration = Duration::from_secs(30);
/// Most changes in one write, so that new dependencies never wait long behind it.
const CHUNK: usize = 1_000;

/// The uses that are not in the store yet.
pub(crate) struct Usage {
    view: Arc<SharedView>,
    recorder: Arc<Recorder>,
    /// From when on, in milliseconds since 1970.
    flushed_ms: AtomicU64,
}

impl Usage {
    pub(crate) fn new(view: Arc<SharedView>, recorder: Arc<Recorder>) -> Self {
        Self {
            view,
            recorder,
            flushed_ms: AtomicU64::new(now_ms()),
        }
    }

    /// Writes them down for ever.
    pub(crate) async fn run(&self) {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            // A failure is logged and counted where it happens; the same uses are written the next time.
            let _ = self.flush().await;
        }
    }

    /// Writes everything that was used since this was last called with success.
    ///
    /// # Errors
    /// What was written up to then stays, and is written once more the next time.
    pub(crate) async fn flush(&self) -> Result<(), StoreError> {
        let (since_ms, now_ms) = (self.flushed_ms.load(Ordering::Acquire), now_ms());
        self.write(since_ms).await?;
        self.flushed_ms.store(now_ms, Ordering::Release);
        Ok(())
    }

    async fn write(&self, since_ms: u64) -> Result<(), StoreError> {
        let workloads: Vec<Workload> = self.view.look().graph.workloads().cloned().collect();
        let mut changes = self.externals(since_ms);
        for workload in &workloads {
            changes.extend(self.dependencies(workload, since_ms));
            if changes.len() >= CHUNK {
                self.recorder.commit(std::mem::take(&mut changes)).await?;
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        self.recorder.commit(changes).await
    }

    fn dependencies(&self, workload: &Workload, since_ms: u64) -> Vec<Change> {
        let view = self.view.look();
        let dependencies = view.graph.dependencies(workload);
        let used = dependencies.filter(|dependency| dependency.last_seen_ms >= since_ms);
        used.cloned().map(Change::Dependency).collect()
    }

    fn externals(&self, since_ms: u64) -> Vec<Change> {
        let view = self.view.look();
        let externals = view.graph.externals();
        let used = externals.filter(|external| external.last_seen_ms >= since_ms);
        used.cloned().map(Change::External).collect()
    }
}
