//! Takes out dependencies that nobody has seen for long.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lazymesh_core::{EgressHost, Ttl, Workload, expired};
use parking_lot::Mutex;
use tokio::time::MissedTickBehavior;

use crate::history::What;
use crate::learn::recorder::{BATCH, Recorder};
use crate::learn::watches::Watches;
use crate::runtime::clock::now_ms;
use crate::runtime::metrics::Metrics;
use crate::runtime::readiness::Readiness;
use crate::state::{Event, SharedView};
use crate::store::{Change, StoreError};

/// How often it is looked what is due, at least and at most.
const SWEEP: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_millis(250);
const DAY: Duration = Duration::from_hours(24);
/// Into how many parts of a time to live a silence is written down.
const STEPS: u32 = 8;

/// Takes dependencies out of the graph and the store. Sidecars follow, their routes first.
pub(crate) struct Expirer {
    view: Arc<SharedView>,
    recorder: Arc<Recorder>,
    watches: Arc<Watches>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    /// When dependencies of workloads left, within the last day.
    left: Mutex<HashMap<Workload, VecDeque<Instant>>>,
}

impl Expirer {
    pub(crate) fn new(
        view: Arc<SharedView>,
        recorder: Arc<Recorder>,
        watches: Arc<Watches>,
        metrics: Arc<Metrics>,
        readiness: Arc<Readiness>,
    ) -> Self {
        Self {
            view,
            recorder,
            watches,
            metrics,
            readiness,
            left: Mutex::default(),
        }
    }

    /// Takes out what is due, for ever.
    pub(crate) async fn run(&self) {
        let ttl = self.view.look().policy.expiry.ttl;
        let sweep = match ttl {
            Ttl::After(ttl) => (ttl / (2 * STEPS)).clamp(SOON, SWEEP),
            Ttl::Never => SWEEP,
        };
        let mut interval = tokio::time::interval(sweep);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            // A failure is logged and counted where it happens, and ends the collector.
            let _ = self.sweep(Instant::now(), now_ms()).await;
        }
    }

    async fn sweep(&self, now: Instant, now_ms: u64) -> Result<(), StoreError> {
        for (workload, watched) in self.watches.take(now) {
            self.lengthen(&workload, watched, now_ms).await?;
        }
        // An inventory that lacks something does not say what is lazy, and what may be connected.
        if !self.readiness.is_whole() {
            return Ok(());
        }
        self.view.count_uses();
        for workload in self.view.learned() {
            let today = self.left_today(&workload, now);
            if !self.due(&workload, today, now_ms).is_empty() {
                self.take_out(&workload, today, now, now_ms).await?;
            }
        }
        Ok(())
    }

    fn due(&self, workload: &Workload, today: usize, now_ms: u64) -> Vec<EgressHost> {
        let view = self.view.look();
        expired(
            &view.inventory,
            &view.graph,
            &view.policy,
            workload,
            today,
            now_ms,
        )
    }

    fn left_today(&self, workload: &Workload, now: Instant) -> usize {
        let mut left = self.left.lock();
        let Some(times) = left.get_mut(workload) else {
            return 0;
        };
        while times
            .front()
            .is_some_and(|at| now.saturating_duration_since(*at) >= DAY)
        {
            times.pop_front();
        }
        let today = times.len();
        if today == 0 {
            left.remove(workload);
        }
        today
    }

    /// Notes for how long a workload was watched.
    async fn lengthen(
        &self,
        workload: &Workload,
        watched: Duration,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let silent = self.view.change(|view| {
            let step = match view.policy.ttl(&view.inventory, workload) {
                Ttl::After(ttl) => ttl / STEPS,
                Ttl::Never => DAY,
            };
            let (watched, step) = (millis(watched), millis(step).max(1));
            view.graph.watched(workload, watched, step, now_ms)
        });
        for batch in silent.chunks(BATCH) {
            let changes = batch.iter().cloned().map(Change::Dependency);
            let changes = changes.collect();
            self.recorder.commit_known(&self.view, changes).await?;
        }
        Ok(())
    }

    async fn take_out(
        &self,
        workload: &Workload,
        today: usize,
        now: Instant,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        // Nothing is learned meanwhile, or it might be in the graph and no longer in the store.
        let _alone = self.recorder.alone().await?;
        let hosts = self.due(workload, today, now_ms);
        let removal = hosts.iter().map(|host| Change::RemoveDependency {
            source: workload.clone(),
            host: host.clone(),
        });
        self.recorder.commit_in_batches(removal.collect()).await?;
        let (own, others) = self.view.change(|view| {
            let before = view.rooms();
            for host in &hosts {
                view.graph.remove_dependency(workload, host);
            }
            let own = view.subjects_of(workload).collect();
            (own, view.namespaces_whose_room_differs(before))
        });
        self.view.announce(Event::Affected(own));
        self.view.announce_namespaces(&others);
        tracing::info!(%workload, hosts = hosts.len(), "expired: nobody has seen them for long");
        self.metrics.expired.inc_by(hosts.len() as u64);
        let mut left = self.left.lock();
        let left = left.entry(workload.clone()).or_default();
        for host in hosts {
            left.push_back(now);
            let source = workload.clone();
            self.view.history().record(What::Expired { source, host });
        }
        Ok(())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
