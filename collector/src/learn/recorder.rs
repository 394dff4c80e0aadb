//! Writes the graph down and reads it back, and says so when that fails.

use std::sync::Arc;
use std::time::Instant;

use crate::runtime::metrics::Metrics;
use crate::runtime::readiness::Readiness;
use crate::state::SharedView;
use crate::store::{Change, Store, StoreError};

/// The store, watched.
pub(crate) struct Recorder {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
}

impl Recorder {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        readiness: Arc<Readiness>,
    ) -> Self {
        Self {
            store,
            metrics,
            readiness,
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
        });
        tracing::info!(dependencies, externals, "store loaded");
        self.readiness.store_loaded();
        Ok(())
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

    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        self.store.close().await
    }
}
