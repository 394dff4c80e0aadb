//! The publishing task: takes targets off the queue, plans their Sidecars and has them published.
//!
//! It owns the order of things: one Sidecar at a time, withdrawals included, so that a plan never
//! overtakes an earlier one.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use backon::Retryable;
use lazymesh_core::{Plan, SidecarSpec};

use crate::agenda::{Target, retries};
use crate::collector::Collector;
use crate::publisher::{PublishError, PublishOutcome, Published, Publisher};

/// Carries out what the queue asks for.
pub(crate) struct Publishing {
    collector: Arc<Collector>,
    publisher: Arc<dyn Publisher>,
    /// The Sidecars that this task has put in place, to find them again when their target wants none.
    placed: HashMap<Target, Published>,
}

impl Publishing {
    pub(crate) fn new(collector: Arc<Collector>, publisher: Arc<dyn Publisher>) -> Self {
        Self {
            collector,
            publisher,
            placed: HashMap::new(),
        }
    }

    /// Publishes for ever. Start it only once the store is loaded and the inventory has synced.
    pub(crate) async fn run(mut self) {
        self.recall().await;
        loop {
            let target = self.collector.queue.next().await;
            self.handle(target).await;
        }
    }

    /// Finds out which namespaces are lazy already. Nothing may be withdrawn before that is known.
    async fn recall(&self) {
        if !self.collector.look().heard.is_required() {
            return;
        }
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
        match self.collector.plan(target) {
            Plan::Publish(sidecar) => {
                if let Target::Namespace(namespace) = target
                    && !self.placed.contains_key(target)
                {
                    self.publish_workloads(namespace).await?;
                }
                self.publish(target, &sidecar).await
            }
            Plan::UserManaged(owner) => {
                tracing::debug!(%target, %owner, "left to a Sidecar that is not ours");
                self.withdraw(target).await
            }
            Plan::NotEnforced => self.withdraw(target).await,
        }
    }

    /// Publishes what the workloads of a namespace want, whose own Sidecar would scope them until then.
    async fn publish_workloads(&mut self, namespace: &str) -> Result<(), PublishError> {
        for target in self.collector.running_in(namespace) {
            if let Plan::Publish(sidecar) = self.collector.plan(&target) {
                self.publish(&target, &sidecar).await?;
            }
        }
        Ok(())
    }

    async fn publish(
        &mut self,
        target: &Target,
        sidecar: &SidecarSpec,
    ) -> Result<bool, PublishError> {
        // One that fails may have been made all the same.
        self.placed.insert(target.clone(), place(sidecar));
        let in_use = self.collector.is_in_use(&sidecar.namespace);
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

    /// Withdraws what an earlier run left in place and nothing wants any more.
    async fn withdraw_orphans(&self) -> Result<bool, PublishError> {
        let wanted: BTreeSet<Published> = self
            .collector
            .targets()
            .iter()
            .filter_map(|target| match self.collector.plan(target) {
                Plan::Publish(sidecar) => Some(place(&sidecar)),
                Plan::UserManaged(_) | Plan::NotEnforced => None,
            })
            .collect();
        let mut changed = false;
        for orphan in self.publisher.list().await? {
            if !wanted.contains(&orphan) {
                changed |= self.take_out(&orphan).await?;
            }
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
