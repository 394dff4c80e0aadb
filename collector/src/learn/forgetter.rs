//! Forgets workloads: when somebody says so, and when their pods have long been gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lazymesh_core::{Origin, Workload};
use parking_lot::Mutex;
use tokio::time::MissedTickBehavior;

use crate::history::What;
use crate::learn::recorder::Recorder;
use crate::runtime::metrics::Metrics;
use crate::runtime::readiness::Readiness;
use crate::state::{Event, SharedView, View};
use crate::store::{Change, StoreError};

/// How often it is looked who is gone, and how often at most.
const SWEEP: Duration = Duration::from_secs(15);
const SOON: Duration = Duration::from_secs(1);
/// How long pods may be gone, at least: for that long a workload may only be restarting.
const RESTART: Duration = Duration::from_secs(60);

/// Takes workloads out of the graph and the store.
pub(crate) struct Forgetter {
    view: Arc<SharedView>,
    recorder: Arc<Recorder>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    /// Since when workloads were seen to have no pods.
    gone: Mutex<HashMap<Workload, Instant>>,
}

impl Forgetter {
    pub(crate) fn new(
        view: Arc<SharedView>,
        recorder: Arc<Recorder>,
        metrics: Arc<Metrics>,
        readiness: Arc<Readiness>,
    ) -> Self {
        Self {
            view,
            recorder,
            metrics,
            readiness,
            gone: Mutex::default(),
        }
    }

    /// Forgets, for ever, whose pods have been gone for so long.
    pub(crate) async fn run(self: Arc<Self>, after: Duration) {
        let mut interval = tokio::time::interval(after.clamp(SOON, SWEEP));
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            // A failure is logged and counted where it happens, and ends the collector.
            let _ = self.sweep(Instant::now(), after).await;
        }
    }

    /// Forgets whose pods have been gone for so long, and earlier in namespaces that have no room left.
    async fn sweep(self: &Arc<Self>, now: Instant, after: Duration) -> Result<(), StoreError> {
        for workload in self.expired(now, after) {
            tracing::info!(%workload, "forgotten: its pods are gone");
            self.forget(&workload).await?;
        }
        Ok(())
    }

    fn expired(&self, now: Instant, after: Duration) -> Vec<Workload> {
        // An inventory that lacks something, or has no pods, does not say who is gone.
        if !self.readiness.is_whole() || !self.view.look().inventory.has_pods() {
            return Vec::new();
        }
        let mut before = self.gone.lock();
        let mut gone = HashMap::new();
        let mut expired = Vec::new();
        for workload in self.view.learned() {
            let view = self.view.look();
            if view.inventory.is_running(&workload) {
                continue;
            }
            let after = match view.graph.is_crowded(&workload.namespace) {
                true => after.min(RESTART),
                false => after,
            };
            let since = before.get(&workload).copied().unwrap_or(now);
            gone.insert(workload.clone(), since);
            if now.saturating_duration_since(since) >= after && !is_pinned(&view, &workload) {
                expired.push(workload);
            }
        }
        *before = gone;
        expired
    }

    /// Forgets all of a workload; `false` if nothing was known of it. It is forgotten when this returns, whoever waits.
    ///
    /// # Errors
    /// What was forgotten up to then stays forgotten by the store.
    pub(crate) async fn forget(self: &Arc<Self>, workload: &Workload) -> Result<bool, StoreError> {
        let (forgetter, workload) = (Arc::clone(self), workload.clone());
        let task = tokio::spawn(async move { forgetter.take_out(&workload).await });
        task.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn take_out(&self, workload: &Workload) -> Result<bool, StoreError> {
        // Nothing is learned meanwhile, or it might be in the graph and no longer in the store.
        let _alone = self.recorder.alone().await?;
        let changes = removal(&self.view.look(), workload);
        self.recorder.commit_in_batches(changes).await?;
        let (was_known, own, others) = self.view.change(|view| {
            let before = view.rooms();
            let was_known = view.graph.remove(workload);
            let own = view.subjects_of(workload).collect();
            (was_known, own, view.namespaces_whose_room_differs(before))
        });
        if was_known {
            self.metrics.forgotten.inc();
            let source = workload.clone();
            self.view.history().record(What::Forgotten { source });
            self.view.announce(Event::Affected(own));
            self.view.announce_namespaces(&others);
        }
        Ok(was_known)
    }
}

/// Whether a person asked for something of it.
fn is_pinned(view: &View, workload: &Workload) -> bool {
    let mut needed = view.graph.dependencies(workload);
    needed.any(|dependency| dependency.origin == Origin::Pinned)
}

fn removal(view: &View, workload: &Workload) -> Vec<Change> {
    let dependencies = view.graph.dependencies(workload);
    let dependencies = dependencies.map(|known| Change::RemoveDependency {
        source: known.source.clone(),
        host: known.host.clone(),
    });
    let externals = view.graph.externals_of(workload);
    let externals = externals.map(|known| Change::RemoveExternal {
        source: known.source.clone(),
        host: known.host.clone(),
    });
    dependencies.chain(externals).collect()
}

#[cfg(test)]
mod tests;
