//! Judges canaries by what filters and Prometheus tell, reverts those that fail, and resumes them when somebody says so.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lazymesh_core::{Revert, Symptom, Symptoms, Workload};
use lazymesh_protocol::Trouble;
use parking_lot::Mutex;
use tokio::time::MissedTickBehavior;

use super::tally::Tally;
use crate::history::What;
use crate::learn::Recorder;
use crate::runtime::clock::now_ms;
use crate::runtime::metrics::Metrics;
use crate::runtime::readiness::Readiness;
use crate::state::{SharedView, View};
use crate::store::{Change, StoreError};

/// How often to look whether somebody has changed a label.
const LOOK: Duration = Duration::from_secs(2);
/// Most namespaces that are named at once.
const MOST_NAMED: usize = 10;

/// All canaries.
pub(crate) struct Canaries {
    view: Arc<SharedView>,
    recorder: Arc<Recorder>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    /// What went wrong with workloads that are enforced as part of one.
    tallies: Mutex<HashMap<Workload, Tally>>,
    /// Of whoever reverts or resumes: the store and the view must not hear it in another order.
    turn: tokio::sync::Mutex<()>,
}

impl Canaries {
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
            tallies: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// A filter of a workload tells what went wrong.
    pub(crate) async fn hear(self: &Arc<Self>, workload: &Workload, trouble: Trouble) {
        let within = {
            let view = self.view.look();
            let within = view.policy.bounds.within;
            is_watched(&view, workload).then_some(within)
        };
        let Some(within) = within else {
            return;
        };
        let now = Instant::now();
        let seen = {
            let mut tallies = self.tallies.lock();
            let tally = tallies.entry(workload.clone());
            let tally = tally.or_insert_with(|| Tally::new(now));
            tally.add(trouble, within, now)
        };
        self.judge(workload, &seen).await;
    }

    /// Reverts a workload's canary if this is too much. It does so whether or not somebody waits.
    pub(crate) async fn judge(self: &Arc<Self>, workload: &Workload, seen: &Symptoms) {
        let Some(symptom) = self.view.look().policy.bounds.exceeded(seen) else {
            return;
        };
        let (canaries, workload) = (Arc::clone(self), workload.clone());
        let task = tokio::spawn(async move { canaries.revert(workload, symptom).await });
        // A failure is logged where it happens, and ends the collector.
        let _ = task.await;
    }

    async fn revert(&self, workload: Workload, symptom: Symptom) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let namespace = workload.namespace.clone();
        let percent = {
            let view = self.view.look();
            let canary = view.inventory.canary(&namespace);
            let canary = canary.filter(|_| is_watched(&view, &workload));
            canary.map(lazymesh_core::Canary::percent)
        };
        // Somebody else was faster.
        let Some(percent) = percent else {
            return Ok(());
        };
        let revert = Revert {
            workload,
            symptom,
            percent,
            at_ms: now_ms(),
        };
        self.write(Change::Revert(revert.clone())).await?;
        tracing::warn!(namespace, %revert, "a canary failed; the namespace gets its full scope");
        self.view.change(|view| {
            let reverts = &mut view.policy.reverts;
            reverts.insert(namespace.clone(), revert.clone())
        });
        self.metrics.reverted.inc();
        self.view.history().record(What::Reverted { revert });
        self.changed(namespace);
        Ok(())
    }

    /// Takes a revert back; `false` if there is none.
    ///
    /// # Errors
    /// It stays, as far as anybody may know.
    pub(crate) async fn resume(self: &Arc<Self>, namespace: String) -> Result<bool, StoreError> {
        let canaries = Arc::clone(self);
        let task = tokio::spawn(async move { canaries.take_back(namespace).await });
        task.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn take_back(&self, namespace: String) -> Result<bool, StoreError> {
        let _turn = self.turn.lock().await;
        if !self.view.look().policy.reverts.contains_key(&namespace) {
            return Ok(false);
        }
        let change = Change::Resume {
            namespace: namespace.clone(),
        };
        self.write(change).await?;
        let taken = self
            .view
            .change(|view| view.policy.reverts.remove(&namespace));
        tracing::info!(namespace, "a canary that failed is tried again");
        if let Some(revert) = taken {
            self.view.history().record(What::Resumed { revert });
        }
        self.changed(namespace);
        Ok(true)
    }

    async fn write(&self, change: Change) -> Result<(), StoreError> {
        let _permit = self.recorder.permit(1).await?;
        self.recorder.commit(vec![change]).await
    }

    /// A namespace begins anew.
    fn changed(&self, namespace: String) {
        let mut tallies = self.tallies.lock();
        tallies.retain(|workload, _| workload.namespace != namespace);
        drop(tallies);
        self.tell();
        self.view.announce_namespaces(&[namespace]);
    }

    /// Looks for ever whose label says another number than the one that failed.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut interval = tokio::time::interval(LOOK);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            self.forget_old();
            self.tell();
            for namespace in self.void() {
                // As above.
                let _ = self.resume(namespace).await;
            }
        }
    }

    /// The namespaces whose reverts do not count any more. An inventory that lacks something does not say that.
    fn void(&self) -> Vec<String> {
        if !self.readiness.is_whole() {
            return Vec::new();
        }
        let view = self.view.look();
        let reverts = view.policy.reverts.keys();
        let void = reverts.filter(|it| view.policy.revert(&view.inventory, it).is_none());
        void.cloned().collect()
    }

    fn forget_old(&self) {
        let (within, now) = (self.view.look().policy.bounds.within, Instant::now());
        let mut tallies = self.tallies.lock();
        tallies.retain(|_, tally| !tally.is_over(within, now));
    }

    fn tell(&self) {
        let view = self.view.look();
        let reverts = &view.policy.reverts;
        let first = reverts.values().take(MOST_NAMED).map(ToString::to_string);
        let rest = (reverts.len() > MOST_NAMED).then(|| "…".to_owned());
        let named: Vec<_> = first.chain(rest).collect();
        self.readiness.canaries(match reverts.len() {
            0 => Ok(()),
            count => Err(format!(
                "the canaries of {count} namespaces failed, so that these have their full scope: {}",
                named.join(", ")
            )),
        });
    }

    /// The namespaces in which somebody is enforced as part of a canary.
    pub(crate) fn namespaces(&self) -> BTreeSet<String> {
        let view = self.view.look();
        let canaries = view.inventory.canaries();
        let tried = canaries.filter(|(namespace, canary)| {
            canary.percent() > 0 && view.policy.revert(&view.inventory, namespace).is_none()
        });
        tried.map(|(namespace, _)| namespace.to_owned()).collect()
    }

    /// Whether a workload is enforced as part of a canary.
    pub(crate) fn watches(&self, workload: &Workload) -> bool {
        is_watched(&self.view.look(), workload)
    }
}

/// Whether a workload counts: only those that run, so that what is counted is bounded.
fn is_watched(view: &View, workload: &Workload) -> bool {
    view.policy.is_canary(&view.inventory, workload) && view.inventory.is_running(workload)
}

#[cfg(test)]
mod tests;
