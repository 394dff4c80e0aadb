//! The publishing task: takes targets off the queue, plans their Sidecars and has them published.
//!
//! It owns the order of things: one Sidecar at a time, withdrawals included, so that a plan never
//! overtakes an earlier one.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::Retryable;
use lazymesh_core::{DEFAULT_SIDECAR, Plan, SidecarSpec};

use crate::publish::sink::{PublishError, PublishOutcome, Published, Publisher};
use crate::publish::workqueue::{Target, retries};
use crate::state::Collector;

/// How long the Sidecar stays of a workload whose pods are gone and that has learned nothing. Jobs come back, and
/// istiod should not have to hear of every run.
const LINGER: Duration = Duration::from_mins(10);

/// Carries out what the queue asks for.
pub(crate) struct Publishing {
    collector: Arc<Collector>,
    publisher: Arc<dyn Publisher>,
    /// The Sidecars that this task has put in place, to find them again when their target wants none.
    placed: HashMap<Target, Published>,
    /// The workloads that had pods when they were last looked at. The pods of others are too new for requests.
    running: HashSet<Target>,
    /// The workloads whose Sidecar lingers, and until when.
    lingering: HashMap<Target, Instant>,
}

impl Publishing {
    pub(crate) fn new(collector: Arc<Collector>, publisher: Arc<dyn Publisher>) -> Self {
        Self {
            collector,
            publisher,
            placed: HashMap::new(),
            running: HashSet::new(),
            lingering: HashMap::new(),
        }
    }

    /// Publishes for ever. Start it only once the store is loaded and the inventory has synced.
    pub(crate) async fn run(mut self) {
        self.recall().await;
        let targets = self.collector.targets().into_iter();
        self.running = targets
            .filter(|target| self.collector.is_running(target))
            .collect();
        loop {
            let target = self.collector.queue.next().await;
            self.handle(target).await;
        }
    }

    /// Finds out which namespaces are lazy already. Nothing may be withdrawn before that is known.
    async fn recall(&mut self) {
        let readiness = &self.collector.readiness;
        let list = || self.publisher.list();
        let told = |error: &PublishError, wait| {
            tracing::warn!(%error, retry_in = ?wait, "cannot list the Sidecars that are there");
            readiness.publisher(Err(error.to_string()));
        };
        // It does not end before it has worked.
        let Ok(there) = list.retry(retries()).notify(told).await else {
            return;
        };
        readiness.publisher(Ok(()));
        let namespaces = there.iter().map(|place| place.namespace.as_str());
        self.collector.heard_before(namespaces);
        let defaults = there.into_iter().filter(|it| it.name == DEFAULT_SIDECAR);
        self.placed
            .extend(defaults.map(|it| (Target::Namespace(it.namespace.clone()), it)));
    }

    async fn handle(&mut self, target: Target) {
        let result = match &target {
            Target::Orphans => self.withdraw_orphans().await,
            Target::Namespace(_) | Target::Workload(_) => self.settle(&target).await,
        };
        let queue = &self.collector.queue;
        let now = Instant::now();
        match result {
            Ok(changed) => queue.with(|agenda| agenda.done(&target, changed, now)),
            Err(error) => {
                self.collector.metrics.publish_failed.inc();
                let wait = queue.with(|agenda| agenda.failed(target.clone(), now));
                tracing::warn!(%target, %error, retry_in = ?wait, "cannot publish");
                self.collector.readiness.publisher(Err(error.to_string()));
            }
        }
        if queue.with(|agenda| agenda.failing()) == 0 {
            self.collector.readiness.publisher(Ok(()));
        }
    }

    /// Makes one Sidecar what its plan says; whether that counts as a change.
    async fn settle(&mut self, target: &Target) -> Result<bool, PublishError> {
        let plan = self.collector.plan(target);
        if let Plan::UserManaged(owner) = &plan {
            tracing::debug!(%target, %owner, "left to a Sidecar that is not ours");
        }
        let changed = match (target, &plan) {
            (Target::Namespace(namespace), Plan::Publish(sidecar)) => {
                if !self.placed.contains_key(target) {
                    self.publish_workloads(namespace).await?;
                }
                self.publish(target, sidecar).await
            }
            (_, Plan::Publish(sidecar)) => self.publish(target, sidecar).await,
            (Target::Workload(workload), _) => {
                let is_theirs = matches!(plan, Plan::UserManaged(_));
                self.let_go(target, &workload.namespace, is_theirs).await
            }
            (Target::Namespace(namespace), _) => {
                let of_it = |it: &&Target| it.namespace() == Some(namespace.as_str());
                let lingering = self.lingering.keys().filter(of_it).cloned();
                self.collector.queue.add(lingering);
                self.withdraw(target).await
            }
            (Target::Orphans, _) => Ok(false),
        }?;
        if !self.collector.is_running(target) {
            self.running.remove(target);
        } else if matches!(target, Target::Workload(_)) {
            self.running.insert(target.clone());
        }
        Ok(changed)
    }

    /// Publishes what the workloads of a namespace want, whose own Sidecar would scope them until then.
    async fn publish_workloads(&mut self, namespace: &str) -> Result<(), PublishError> {
        for target in self.collector.running_in(namespace) {
            // There may be hundreds of them, and a request is not held for long.
            while let Some(urgent) = self.collector.queue.take_urgent() {
                Box::pin(self.handle(Target::Workload(urgent))).await;
            }
            if let Plan::Publish(sidecar) = self.collector.plan(&target) {
                self.publish(&target, &sidecar).await?;
            }
        }
        Ok(())
    }

    /// Takes a workload's Sidecar out, be it left to a user's or not lazy any more. What rules its pods then may be the
    /// namespace's own, which is first made what it should be, all its steps included.
    async fn let_go(
        &mut self,
        target: &Target,
        namespace: &str,
        is_theirs: bool,
    ) -> Result<bool, PublishError> {
        let default = Target::Namespace(namespace.to_owned());
        match self.collector.plan(&default) {
            Plan::UserManaged(_) | Plan::NotEnforced => {
                self.withdraw(&default).await?;
            }
            Plan::Publish(_) if !self.placed.contains_key(target) => {}
            Plan::Publish(sidecar) if is_theirs && self.placed.contains_key(&default) => {
                self.publish(&default, &sidecar).await?;
                if let Some(due) = self.publisher.due(namespace, DEFAULT_SIDECAR) {
                    self.collector.queue.add_at(target.clone(), due);
                    return Ok(false);
                }
            }
            Plan::Publish(_) if !is_theirs && self.lingers(target) => return Ok(false),
            Plan::Publish(_) => {}
        }
        self.withdraw(target).await
    }

    /// Whether the Sidecar of a workload stays for a while, though it selects nothing now.
    fn lingers(&mut self, target: &Target) -> bool {
        if self.collector.is_running(target) {
            return false;
        }
        let now = Instant::now();
        let until = self.lingering.entry(target.clone());
        let until = *until.or_insert(now + LINGER);
        if now < until {
            self.collector.queue.add_at(target.clone(), until);
        }
        now < until
    }

    async fn publish(
        &mut self,
        target: &Target,
        sidecar: &SidecarSpec,
    ) -> Result<bool, PublishError> {
        self.lingering.remove(target);
        // One that fails may have been made all the same.
        self.placed.insert(target.clone(), place(sidecar));
        let in_use = match target {
            Target::Workload(_) => self.running.contains(target),
            Target::Namespace(_) | Target::Orphans => true,
        } && self.collector.is_running(target);
        let outcome = self.publisher.publish(sidecar, in_use).await?;
        if let Some(due) = self.publisher.due(&sidecar.namespace, &sidecar.name) {
            self.collector.queue.add_at(target.clone(), due);
        }
        let metrics = &self.collector.metrics;
        match outcome {
            PublishOutcome::Unchanged => metrics.unchanged.inc(),
            PublishOutcome::Created | PublishOutcome::Updated => metrics.published.inc(),
        };
        if outcome != PublishOutcome::Unchanged {
            let Published { namespace, name } = place(sidecar);
            tracing::info!(
                namespace,
                name,
                hosts = sidecar.hosts.len(),
                ?outcome,
                "Sidecar published"
            );
        }
        // A new Sidecar, which tells what is always visible, must not make the workload's first host wait.
        Ok(outcome == PublishOutcome::Updated)
    }

    /// Takes a target's Sidecar out. That is no change to be paced by: should the Sidecar be wanted again, as when
    /// a user's goes that had ruled instead, its workload is under the namespace's default until it is back.
    async fn withdraw(&mut self, target: &Target) -> Result<bool, PublishError> {
        self.lingering.remove(target);
        if let Some(place) = self.placed.get(target).cloned() {
            match self.take_out(&place).await {
                // Somebody took our label off: it is theirs now.
                Ok(_) | Err(PublishError::NotOurs { .. }) => {}
                Err(error) => return Err(error),
            }
            self.placed.remove(target);
        }
        Ok(false)
    }

    async fn take_out(&self, place: &Published) -> Result<bool, PublishError> {
        let Published { namespace, name } = place;
        let changed = self.publisher.withdraw(namespace, name).await?;
        if changed {
            self.collector.metrics.withdrawn.inc();
            tracing::info!(namespace, name, "Sidecar withdrawn");
        }
        Ok(changed)
    }

    /// Withdraws what an earlier run left in place and nothing wants any more. What this run has put in place goes when its
    /// own time has come.
    async fn withdraw_orphans(&self) -> Result<bool, PublishError> {
        let targets = self.collector.targets();
        let placed = targets.iter().chain(self.lingering.keys());
        let placed = placed.filter(|target| matches!(target, Target::Workload(_)));
        let placed = placed.filter_map(|target| self.placed.get(target).cloned());
        let planned = targets.iter();
        let planned = planned.filter_map(|target| match self.collector.plan(target) {
            Plan::Publish(sidecar) => Some(place(&sidecar)),
            Plan::UserManaged(_) | Plan::NotEnforced => None,
        });
        let wanted: BTreeSet<Published> = planned.chain(placed).collect();
        let mut changed = false;
        let mut orphans = self.publisher.list().await?;
        orphans.retain(|orphan| !wanted.contains(orphan));
        // A namespace's own would scope the workloads whose Sidecar is gone.
        orphans.sort_by_key(|orphan| orphan.name != DEFAULT_SIDECAR);
        for orphan in orphans {
            changed |= self.take_out(&orphan).await?;
        }
        Ok(changed)
    }
}

fn place(sidecar: &SidecarSpec) -> Published {
    Published {
        namespace: sidecar.namespace.clone(),
        name: sidecar.name.clone(),
    }
}
