//! Writes down now and then when known things were last used, and how often.
//!
//! A use of something known is counted in memory only: losing the last minutes of it in a crash costs nothing but a
//! little precision, and a write for every request would cost everything. It is written in small batches with pauses between
//! them: the engine keeps all of a batch in memory until it is done, and others wait for the disk behind it.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lazymesh_core::Workload;
use tokio::time::MissedTickBehavior;

use crate::learn::recorder::{BATCH, Recorder};
use crate::runtime::clock::now_ms;
use crate::state::SharedView;
use crate::store::{Change, StoreError};

/// Pause after each write. 20,000 records take four seconds.
const PAUSE: Duration = Duration::from_millis(50);

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

    /// Writes them down for ever, so often.
    pub(crate) async fn run(&self, interval: Duration) {
        let mut interval = tokio::time::interval(interval);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            // A failure is logged and counted where it happens; the same uses are written the next time.
            let _ = self.flush(PAUSE).await;
        }
    }

    /// Writes everything that was used since this was last called with success, pausing after each batch.
    ///
    /// # Errors
    /// What was written up to then stays, and is written once more the next time.
    pub(crate) async fn flush(&self, pause: Duration) -> Result<(), StoreError> {
        let (flushed_ms, now_ms) = (self.flushed_ms.load(Ordering::Acquire), now_ms());
        // Where the clock was put back, nobody knows what was used since: once, everything is written.
        let since_ms = if flushed_ms <= now_ms { flushed_ms } else { 0 };
        self.write(since_ms..=now_ms, pause).await?;
        self.flushed_ms.store(now_ms, Ordering::Release);
        Ok(())
    }

    async fn write(&self, times: RangeInclusive<u64>, pause: Duration) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        for workload in self.view.learned() {
            changes.extend(self.used(&workload, &times));
            while changes.len() >= BATCH {
                let rest = changes.split_off(BATCH);
                let batch = std::mem::replace(&mut changes, rest);
                self.recorder.commit_known(&self.view, batch).await?;
                tokio::time::sleep(pause).await;
            }
        }
        self.recorder.commit_known(&self.view, changes).await
    }

    fn used(&self, workload: &Workload, times: &RangeInclusive<u64>) -> Vec<Change> {
        let view = self.view.look();
        let dependencies = view.graph.dependencies(workload);
        let dependencies = dependencies.filter(|used| times.contains(&used.last_seen_ms));
        let externals = view.graph.externals_of(workload);
        let externals = externals.filter(|used| times.contains(&used.last_seen_ms));
        let externals = externals.cloned().map(Change::External);
        dependencies
            .cloned()
            .map(Change::Dependency)
            .chain(externals)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use lazymesh_core::{Dependency, Graph, Inventory, Limits, Mesh, Origin, Policy, Sightings};

    use super::*;
    use crate::runtime::metrics::Metrics;
    use crate::runtime::readiness::Readiness;
    use crate::state::View;
    use crate::store::SledStore;

    /// A record that was last used at 50: whether it is written by a flush for these times.
    #[test]
    fn what_is_used_later_than_now_is_not_written_again_and_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Arc::new(SledStore::open(dir.path()).expect("a store"));
        let recorder = Recorder::new(store, Arc::new(Metrics::new()), Arc::new(Readiness::new()));
        let mut graph = Graph::new(Limits::default());
        let source = Workload::new("shop", "web").expect("a name");
        graph.insert(Dependency {
            source: source.clone(),
            host: "shop/a".parse().expect("a host"),
            first_seen_ms: 50,
            last_seen_ms: 50,
            count: 1,
            origin: Origin::Learned,
            sightings: Sightings::default(),
        });
        let view = Arc::new(SharedView::new(View {
            inventory: Inventory::new(Mesh::default()),
            graph,
            policy: Policy::default(),
        }));
        let usage = Usage::new(view, Arc::new(recorder));
        let check = |times: RangeInclusive<u64>, expect: usize| {
            assert_eq!(usage.used(&source, &times).len(), expect, "{times:?}");
        };
        check(40..=60, 1);
        check(0..=50, 1);
        check(51..=60, 0);
        check(0..=49, 0);
    }
}
