//! Writes down now and then when known things were last used, and how often.
//!
//! A use of something known is counted in memory only: losing the last minutes of it in a crash costs nothing but a
//! little precision, and a write for every request would cost everything. It is written in pieces with pauses between
//! them, since others wait for the same disk.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use lazymesh_core::{Dependency, ExternalHost, Workload};
use tokio::time::MissedTickBehavior;

use crate::learn::recorder::Recorder;
use crate::runtime::clock::now_ms;
use crate::state::SharedView;
use crate::store::{Snapshot, StoreError};

/// Records of a piece, at least.
const PIECE: usize = 1_000;
/// Pause before each piece. 20,000 records take five seconds.
const PAUSE: Duration = Duration::from_millis(250);

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

    /// Writes how everything was used, pausing before each piece; nothing if nothing was since this was last called with success.
    ///
    /// # Errors
    /// What was written before stays.
    pub(crate) async fn flush(&self, pause: Duration) -> Result<(), StoreError> {
        self.view.count_uses();
        let (flushed_ms, now_ms) = (self.flushed_ms.load(Ordering::Acquire), now_ms());
        // Where the clock was put back, nobody knows what was used since.
        let since_ms = if flushed_ms <= now_ms { flushed_ms } else { 0 };
        if self.was_used(&(since_ms..=now_ms)) {
            self.recorder.write_usage(self.uses(pause)).await?;
        }
        self.flushed_ms.store(now_ms, Ordering::Release);
        Ok(())
    }

    /// Whether anything was used last in these times.
    fn was_used(&self, times: &RangeInclusive<u64>) -> bool {
        self.view.learned().any(|workload| {
            let graph = &self.view.look().graph;
            let dependencies = graph.dependencies(&workload).map(|used| used.last_seen_ms);
            let externals = graph.externals_of(&workload).map(|used| used.last_seen_ms);
            dependencies.chain(externals).any(|at| times.contains(&at))
        })
    }

    fn uses(&self, pause: Duration) -> BoxStream<'_, Snapshot> {
        let mut workloads = self.view.learned();
        let pieces = stream::iter(std::iter::from_fn(move || self.piece(&mut workloads)));
        let paced = pieces.then(move |piece| async move {
            tokio::time::sleep(pause).await;
            piece
        });
        paced.boxed()
    }

    /// Some workloads' records that were used again since they were learned. The others are in the store as they are.
    fn piece(&self, workloads: &mut impl Iterator<Item = Workload>) -> Option<Snapshot> {
        let mut piece = Snapshot::default();
        for workload in workloads {
            let graph = &self.view.look().graph;
            let dependencies = graph.dependencies(&workload);
            let again = |used: &&Dependency| used.last_seen_ms > used.first_seen_ms;
            piece
                .dependencies
                .extend(dependencies.filter(again).cloned());
            let externals = graph.externals_of(&workload);
            let again = |used: &&ExternalHost| used.last_seen_ms > used.first_seen_ms;
            piece.externals.extend(externals.filter(again).cloned());
            if piece.len() >= PIECE {
                break;
            }
        }
        (piece.len() > 0).then_some(piece)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use lazymesh_core::{Dependency, Graph, Inventory, Limits, Mesh, Origin, Policy, Sightings};

    use super::*;
    use crate::runtime::metrics::Metrics;
    use crate::runtime::readiness::Readiness;
    use crate::spans::Spans;
    use crate::state::View;
    use crate::store::SledStore;

    /// A record that was last used at 50: whether a flush for these times writes.
    #[test]
    fn what_is_used_later_than_now_is_not_written_again_and_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Arc::new(SledStore::open(dir.path()).expect("a store"));
        let recorder = Recorder::new(
            store,
            Arc::new(Metrics::new()),
            Arc::new(Readiness::new()),
            Spans::default(),
        );
        let mut graph = Graph::new(Limits::default());
        let source = Workload::new("shop", "web").expect("a name");
        graph.insert(Dependency {
            source,
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
        let check = |times: RangeInclusive<u64>, expect: bool| {
            assert_eq!(usage.was_used(&times), expect, "{times:?}");
        };
        check(40..=60, true);
        check(0..=50, true);
        check(51..=60, false);
        check(0..=49, false);
    }
}
