//! Puts the stations of a collector together: each has one job, and gets only what it needs for it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use lazymesh_core::{ClusterId, Graph, Inventory, Limits, Mesh, Object, Policy, Visibility};
use tokio::sync::watch;

use crate::api::{self, Admin, Events, Ingest, LogStations, Stations, Token};
use crate::attach::Desired;
use crate::canary::Canaries;
use crate::history::History;
use crate::ingest::access_log::AccessLogs;
use crate::ingest::{Door, Filters, IngestIdentity, Reporter, Resolver};
use crate::inventory::{Follower, Source};
use crate::learn::{Expirer, Forgetter, Learner, Recorder, Usage, Watches};
use crate::prometheus::{Client, Failures, PrometheusConfig, Reader, Stations as ReaderStations};
use crate::publish::namespace::Tools;
use crate::publish::reconciler::Reconciler;
use crate::publish::scopes::PublishedScopes;
use crate::publish::sink::Sink;
use crate::runtime::metrics::Metrics;
use crate::runtime::readiness::Readiness;
use crate::spans::Spans;
use crate::state::{Event, SharedView, View};
use crate::store::{Store, StoreError};

/// A collector without listeners, sources and sinks.
pub struct Collector {
    view: Arc<SharedView>,
    recorder: Arc<Recorder>,
    usage: Arc<Usage>,
    forgetter: Arc<Forgetter>,
    filters: Arc<Filters>,
    canaries: Arc<Canaries>,
    watches: Arc<Watches>,
    published: Arc<PublishedScopes>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    spans: Spans,
}

impl Collector {
    /// A collector that knows nothing and is not ready: call [`Collector::load`], and apply an inventory.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, mesh: Mesh, limits: Limits, policy: Policy) -> Self {
        Self::with_spans(store, mesh, limits, policy, Spans::default())
    }

    /// As [`Collector::new`], and it tells of its work.
    pub(crate) fn with_spans(
        store: Arc<dyn Store>,
        mesh: Mesh,
        limits: Limits,
        policy: Policy,
        spans: Spans,
    ) -> Self {
        let view = Arc::new(SharedView::new(View {
            inventory: Inventory::new(mesh),
            graph: Graph::new(limits),
            policy,
        }));
        let (metrics, readiness) = (Arc::new(Metrics::new()), Arc::new(Readiness::new()));
        let recorder = Recorder::new(
            store,
            Arc::clone(&metrics),
            Arc::clone(&readiness),
            spans.clone(),
        );
        let recorder = Arc::new(recorder);
        Self {
            usage: Arc::new(Usage::new(Arc::clone(&view), Arc::clone(&recorder))),
            forgetter: Arc::new(Forgetter::new(
                Arc::clone(&view),
                Arc::clone(&recorder),
                Arc::clone(&metrics),
                Arc::clone(&readiness),
            )),
            filters: Arc::new(Filters::new(Arc::clone(&view), Arc::clone(&readiness))),
            canaries: Arc::new(Canaries::new(
                Arc::clone(&view),
                Arc::clone(&recorder),
                Arc::clone(&metrics),
                Arc::clone(&readiness),
            )),
            view,
            recorder,
            watches: Arc::default(),
            published: Arc::default(),
            metrics,
            readiness,
            spans,
        }
    }

    /// Fills the graph from the store.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read; the collector then stays unready.
    pub async fn load(&self) -> Result<(), StoreError> {
        self.recorder.load(&self.view).await
    }

    /// Takes the first, complete inventory.
    pub fn sync_inventory(&self, objects: Vec<Object>) {
        self.view.change(|view| {
            for object in objects {
                view.inventory.apply(object);
            }
        });
        self.readiness.inventory(Ok(()));
        self.view.announce(Event::Everything);
    }

    /// The router of the ingest listener.
    pub fn ingest(&self, identity: IngestIdentity) -> Router {
        let (metrics, readiness) = (&self.metrics, &self.readiness);
        let learner = self.learner();
        let resolver = Resolver::new(learner.clone(), Arc::clone(readiness), Arc::clone(metrics));
        let reporter = Reporter::new(learner, Arc::clone(readiness), Arc::clone(metrics));
        api::ingest(Ingest::new(Stations {
            filters: Arc::clone(&self.filters),
            canaries: Arc::clone(&self.canaries),
            door: self.door(identity),
            resolver,
            reporter,
            readiness: Arc::clone(readiness),
            spans: self.spans.clone(),
        }))
    }

    /// The router of the listener for access logs, whose streams end when `stopped` turns true.
    pub fn access_logs(&self, identity: IngestIdentity, stopped: watch::Receiver<bool>) -> Router {
        let (view, metrics) = (Arc::clone(&self.view), Arc::clone(&self.metrics));
        api::access_log(LogStations {
            door: self.door(identity),
            access_logs: AccessLogs::new(view, self.learner(), metrics),
            stopped,
        })
    }

    fn door(&self, identity: IngestIdentity) -> Door {
        Door::new(
            Arc::clone(&self.view),
            identity,
            Arc::clone(&self.metrics),
            Arc::clone(&self.readiness),
        )
    }

    fn learner(&self) -> Learner {
        Learner::new(
            Arc::clone(&self.view),
            Arc::clone(&self.recorder),
            Arc::clone(&self.watches),
            Arc::clone(&self.metrics),
            Arc::clone(&self.readiness),
        )
    }

    /// The router of the admin listener. With a token, everything but the probes asks for it.
    pub fn admin(&self, token: Option<Token>) -> Router {
        let admin = Admin {
            view: Arc::clone(&self.view),
            published: Arc::clone(&self.published),
            forgetter: Arc::clone(&self.forgetter),
            canaries: Arc::clone(&self.canaries),
            metrics: Arc::clone(&self.metrics),
            readiness: Arc::clone(&self.readiness),
            events: Arc::new(Events::new(Arc::clone(self.view.history()))),
        };
        api::admin(admin, token)
    }

    /// Ends the streams of those who follow what happens.
    pub(crate) fn end_events(&self) {
        self.view.history().close();
    }

    /// What keeps the inventory as `source` says it is.
    pub(crate) fn follower<S: Source>(
        &self,
        source: S,
        cluster: ClusterId,
        base: Visibility,
        attachment: Option<watch::Sender<Desired>>,
    ) -> Follower<S> {
        Follower {
            source,
            cluster,
            view: Arc::clone(&self.view),
            metrics: Arc::clone(&self.metrics),
            readiness: Arc::clone(&self.readiness),
            base,
            attachment,
        }
    }

    pub(crate) fn history(&self) -> &Arc<History> {
        self.view.history()
    }

    pub(crate) fn readiness(&self) -> &Arc<Readiness> {
        &self.readiness
    }

    /// The router of the port for probes.
    pub(crate) fn probes(&self) -> Router {
        api::probes(Arc::clone(&self.readiness))
    }

    /// What learns from a Prometheus, once the inventory is whole.
    pub(crate) fn reader(&self, client: Client, config: &PrometheusConfig) -> Reader {
        let stations = ReaderStations {
            view: Arc::clone(&self.view),
            learner: self.learner(),
            metrics: Arc::clone(&self.metrics),
            readiness: Arc::clone(&self.readiness),
        };
        Reader::new(client, config, stations)
    }

    /// What asks a Prometheus how canaries are.
    pub(crate) fn failures(&self, client: Client, config: &PrometheusConfig) -> Failures {
        let bounds = self.view.look().policy.bounds;
        Failures::new(client, config, bounds, self.canaries())
    }

    pub(crate) fn usage(&self) -> Arc<Usage> {
        Arc::clone(&self.usage)
    }

    pub(crate) fn forgetter(&self) -> Arc<Forgetter> {
        Arc::clone(&self.forgetter)
    }

    pub(crate) fn filters(&self) -> Arc<Filters> {
        Arc::clone(&self.filters)
    }

    pub(crate) fn canaries(&self) -> Arc<Canaries> {
        Arc::clone(&self.canaries)
    }

    pub(crate) fn expirer(&self) -> Expirer {
        Expirer::new(
            Arc::clone(&self.view),
            Arc::clone(&self.recorder),
            Arc::clone(&self.watches),
            Arc::clone(&self.metrics),
            Arc::clone(&self.readiness),
        )
    }

    /// What publishes to `sink`. Run it only once the store is loaded and the inventory has synced.
    pub(crate) fn reconciler(&self, sink: Arc<dyn Sink>, settle: Duration) -> Reconciler {
        let tools = Tools {
            view: Arc::clone(&self.view),
            sink,
            settle,
            published: Arc::clone(&self.published),
            metrics: Arc::clone(&self.metrics),
            spans: self.spans.clone(),
        };
        Reconciler::new(tools, Arc::clone(&self.readiness))
    }

    /// Writes down what is known, for the last time, and closes the store.
    ///
    /// # Errors
    /// What was acknowledged is durable all the same.
    pub async fn close(&self) -> Result<(), StoreError> {
        let flushed = self.usage.flush(Duration::ZERO).await;
        self.spans.close().await;
        self.recorder.close().await?;
        flushed
    }
}
