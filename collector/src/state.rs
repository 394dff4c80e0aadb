//! The application: what the collector knows, and what it does with a request. No HTTP in here.

use std::collections::BTreeSet;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use lazymesh_core::{
    Affected, Graph, Inventory, Limits, Mesh, Outcome, Plan, Question, Visibility, Workload,
    decide, plan_namespace, plan_workload,
};
use parking_lot::{RwLock, RwLockReadGuard};
use tokio::sync::Semaphore;

use crate::learn::Heard;
use crate::publish::queue::PublishQueue;
use crate::publish::workqueue::Target;
use crate::runtime::clock::now_ms;
use crate::runtime::metrics::Metrics;
use crate::runtime::readiness::Readiness;
use crate::store::{Change, Store, StoreError};

/// Most new things that are on their way to the disk at once. It bounds how far the graph's limits can be
/// overshot by requests that all found room, and is what one group commit can take.
const MAX_LEARNING: usize = 1024;

/// Everything the collector knows; what every decision and every Sidecar is a function of.
pub(crate) struct Knowledge {
    pub(crate) inventory: Inventory,
    pub(crate) graph: Graph,
    /// What every sidecar sees.
    pub(crate) visibility: Visibility,
    /// Whether all of lazymesh is switched off: it answers, but has no Sidecars.
    pub(crate) off: bool,
    pub(crate) heard: Heard,
}

impl Knowledge {
    /// The Sidecars that change with what a workload depends on.
    pub(crate) fn targets_of(&self, workload: &Workload) -> impl Iterator<Item = Target> {
        let ruled_by_default = self.inventory.is_ruled_by_default(workload);
        let default = ruled_by_default.then(|| Target::Namespace(workload.namespace.clone()));
        iter::once(Target::Workload(workload.clone())).chain(default)
    }

    /// Every workload that has pods, or that something was learned about, sorted.
    pub(crate) fn workloads(&self) -> BTreeSet<Workload> {
        let inventory = &self.inventory;
        let running = inventory
            .namespaces()
            .flat_map(|namespace| inventory.workloads_in(namespace));
        running.chain(self.graph.workloads().cloned()).collect()
    }

    /// What has to be planned again.
    pub(crate) fn affected(&self, affected: Affected) -> BTreeSet<Target> {
        let mut targets: BTreeSet<_> = affected.subjects.into_iter().map(Target::from).collect();
        if affected.everything {
            targets.extend(self.targets());
        }
        targets
    }

    /// Everything that may have a Sidecar now.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let namespaces = self.inventory.namespaces();
        let namespaces = namespaces.map(|namespace| Target::Namespace(namespace.to_owned()));
        let workloads = self.workloads().into_iter().map(Target::Workload);
        namespaces.chain(workloads).collect()
    }
}

/// The collector's state, shared by its listeners and tasks.
///
/// What it acknowledges is durable: [`Collector::resolve`] and [`Collector::report`] return only after the
/// store has synced what they learned.
pub struct Collector {
    knowledge: RwLock<Knowledge>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) learning: Arc<Semaphore>,
    pub(crate) queue: PublishQueue,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    /// Uses from then on (milliseconds since 1970) are not in the store yet.
    pub(crate) usage_flushed_ms: AtomicU64,
}

impl Collector {
    /// A collector that knows nothing and is not ready: call [`Collector::load`], and apply an inventory.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, mesh: Mesh, limits: Limits, visibility: Visibility) -> Self {
        Self {
            knowledge: RwLock::new(Knowledge {
                inventory: Inventory::new(mesh),
                graph: Graph::new(limits),
                visibility,
                off: false,
                heard: Heard::default(),
            }),
            store,
            learning: Arc::new(Semaphore::new(MAX_LEARNING)),
            queue: PublishQueue::default(),
            metrics: Metrics::new(),
            readiness: Readiness::new(),
            usage_flushed_ms: AtomicU64::new(now_ms()),
        }
    }

    /// Makes no namespace lazy before a filter has called from it.
    #[must_use]
    pub fn requiring_filters(mut self) -> Self {
        self.knowledge.get_mut().heard = Heard::required();
        self
    }

    /// Fills the graph from the store.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read; the collector then stays unready.
    pub async fn load(&self) -> Result<(), StoreError> {
        let snapshot = self.store.load().await?;
        let (dependencies, externals) = (snapshot.dependencies.len(), snapshot.externals.len());
        self.change(|knowledge| {
            for dependency in snapshot.dependencies {
                knowledge.graph.insert(dependency);
            }
            for external in snapshot.externals {
                knowledge.graph.insert_external(external);
            }
        });
        for record in snapshot.damaged {
            tracing::error!(key = %record.key, reason = %record.reason, "a record of the store is damaged");
        }
        tracing::info!(dependencies, externals, "store loaded");
        self.readiness.store_loaded();
        Ok(())
    }

    /// Looks at what is known. The guard must not be held across an await, and the compiler sees to it.
    pub(crate) fn look(&self) -> RwLockReadGuard<'_, Knowledge> {
        self.knowledge.read()
    }

    /// Changes what is known, in memory only.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Knowledge) -> T) -> T {
        change(&mut self.knowledge.write())
    }

    pub(crate) fn decide(&self, question: &Question) -> Outcome {
        let knowledge = self.look();
        decide(&knowledge.inventory, &knowledge.graph, question)
    }

    /// The Sidecar that a target should have now.
    pub(crate) fn plan(&self, target: &Target) -> Plan {
        let knowledge = self.look();
        if knowledge.off {
            return Plan::NotEnforced;
        }
        let plan = match target {
            Target::Namespace(namespace) => plan_namespace(
                &knowledge.inventory,
                &knowledge.graph,
                &knowledge.visibility,
                namespace,
            ),
            Target::Orphans => Plan::NotEnforced,
            Target::Workload(workload) => plan_workload(
                &knowledge.inventory,
                &knowledge.graph,
                &knowledge.visibility,
                workload,
            ),
        };
        knowledge.heed(plan)
    }

    /// Everything that may have a Sidecar now.
    pub(crate) fn targets(&self) -> Vec<Target> {
        self.look().targets()
    }

    /// The targets of the workloads that have pods in a namespace.
    pub(crate) fn running_in(&self, namespace: &str) -> Vec<Target> {
        let knowledge = self.look();
        let running = knowledge.inventory.workloads_in(namespace);
        running.into_iter().map(Target::Workload).collect()
    }

    /// Whether a target has pods now.
    pub(crate) fn is_running(&self, target: &Target) -> bool {
        let inventory = &self.look().inventory;
        match target {
            Target::Orphans => false,
            Target::Namespace(namespace) => inventory.has_workloads_in(namespace),
            Target::Workload(workload) => inventory.is_running(workload),
        }
    }

    /// Writes changes durably.
    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let start = Instant::now();
        let result = self.store.commit(changes).await;
        self.metrics
            .commit_seconds
            .observe(start.elapsed().as_secs_f64());
        if let Err(error) = &result {
            self.metrics.commits_failed.inc();
            tracing::error!(%error, "cannot write to the store");
            if !matches!(error, StoreError::Unstorable { .. }) {
                self.readiness.store_died(error.to_string());
            }
        }
        result
    }
}
