//! Writes the graph down and reads it back, and says so when that fails.

use std::sync::Arc;
use std::time::Instant;

use futures::stream::BoxStream;
use lazymesh_core::Graph;
use opentelemetry::Context;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::runtime::metrics::Metrics;
use crate::runtime::readiness::Readiness;
use crate::spans::{self, Spans};
use crate::state::SharedView;
use crate::store::{Change, Snapshot, Store, StoreError};

/// Most changes that are on their way to the disk at once. It bounds how far the graph's limits can be
/// overshot by requests that all found room, and is what one group commit can take.
const MAX_IN_FLIGHT: u32 = 1024;

/// Most changes in one write that nobody waits for: the engine keeps all of them in memory until it is done.
pub(crate) const BATCH: usize = 250;

/// The right to have so many changes on their way from the graph to the disk, or back.
pub(crate) type Permit = OwnedSemaphorePermit;

/// The store, watched.
pub(crate) struct Recorder {
    in_flight: Arc<Semaphore>,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    spans: Spans,
}

impl Recorder {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        readiness: Arc<Readiness>,
        spans: Spans,
    ) -> Self {
        Self {
            in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT as usize)),
            store,
            metrics,
            readiness,
            spans,
        }
    }

    /// Fills the graph of a view.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read; the collector then stays unready.
    pub(crate) async fn load(&self, view: &SharedView) -> Result<(), StoreError> {
        let snapshot = self.store.load().await?;
        let (dependencies, externals) = (snapshot.dependencies.len(), snapshot.externals.len());
        view.change(|view| {
            for dependency in snapshot.dependencies {
                view.graph.insert(dependency);
            }
            for external in snapshot.externals {
                view.graph.insert_external(external);
            }
            let reverts = snapshot.reverts.into_iter();
            let reverts = reverts.map(|it| (it.workload.namespace.clone(), it));
            view.policy.reverts.extend(reverts);
        });
        tracing::info!(dependencies, externals, "store loaded");
        self.readiness.store_loaded();
        Ok(())
    }

    /// The right to record so many changes.
    ///
    /// # Errors
    /// Never while the collector lives.
    pub(crate) async fn permit(&self, changes: usize) -> Result<Permit, StoreError> {
        let changes = u32::try_from(changes).unwrap_or(MAX_IN_FLIGHT);
        let in_flight = Arc::clone(&self.in_flight);
        let permit = in_flight.acquire_many_owned(changes.min(MAX_IN_FLIGHT));
        permit.await.map_err(|_| StoreError::Closed)
    }

    /// The right to be the only one to record anything.
    ///
    /// # Errors
    /// As [`Recorder::permit`].
    pub(crate) async fn alone(&self) -> Result<Permit, StoreError> {
        self.permit(MAX_IN_FLIGHT as usize).await
    }

    /// Writes changes durably.
    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let start = Instant::now();
        let span = self.spans.child("commit", &Context::current());
        let result = self.store.commit(changes).await;
        spans::end(&span, &result);
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

    /// Writes changes durably, so many at a time.
    pub(crate) async fn commit_in_batches(
        &self,
        mut changes: Vec<Change>,
    ) -> Result<(), StoreError> {
        while !changes.is_empty() {
            let rest = changes.split_off(changes.len().min(BATCH));
            self.commit(std::mem::replace(&mut changes, rest)).await?;
        }
        Ok(())
    }

    /// Writes those of the changes down that are of what is still known: what is forgotten meanwhile must not come back.
    pub(crate) async fn commit_known(
        &self,
        view: &SharedView,
        mut changes: Vec<Change>,
    ) -> Result<(), StoreError> {
        let _permit = self.permit(1).await?;
        {
            let view = view.look();
            changes.retain(|change| is_known(&view.graph, change));
        }
        if changes.is_empty() {
            return Ok(());
        }
        self.commit(changes).await
    }

    /// Writes down how known things were used.
    pub(crate) async fn write_usage(
        &self,
        uses: BoxStream<'_, Snapshot>,
    ) -> Result<(), StoreError> {
        let result = self.store.write_usage(uses).await;
        if let Err(error) = &result {
            self.metrics.commits_failed.inc();
            tracing::error!(%error, "cannot write down how known things were used; it is tried again");
        }
        result
    }

    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        self.store.close().await
    }
}

fn is_known(graph: &Graph, change: &Change) -> bool {
    match change {
        Change::Dependency(used) => graph.knows(&used.source, &used.host),
        Change::External(used) => graph.knows_external(&used.source, &used.host),
        Change::RemoveDependency { .. }
        | Change::RemoveExternal { .. }
        | Change::Revert(_)
        | Change::Resume { .. } => false,
    }
}
