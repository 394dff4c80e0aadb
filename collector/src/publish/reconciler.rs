//! Reconciles Sidecars with the view: one thing at a time in each namespace, so that a plan never overtakes an earlier
//! one, and many namespaces at a time, so that none waits for another's answer.

use std::collections::{HashMap, HashSet};
use std::future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::Retryable;
use lazymesh_core::{DEFAULT_SIDECAR, Subject};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::task::JoinSet;

use crate::publish::namespace::{NamespaceReconciler, Progress, Tools};
use crate::publish::sink::{Published, SinkError};
use crate::publish::workqueue::{Key, Workqueue};
use crate::runtime::readiness::Readiness;
use crate::runtime::retry::retries;
use crate::spans;
use crate::state::Event;

/// Most namespaces that are worked on at once.
const MAX_WORKERS: usize = 32;

/// Most traces that wait for one Sidecar.
const MAX_SPANS: usize = 16;

/// How often to look whether what was published is still there.
const LOOK: Duration = Duration::from_secs(5);

/// Follows the view and has Sidecars follow it.
pub(crate) struct Reconciler {
    tools: Arc<Tools>,
    readiness: Arc<Readiness>,
    events: broadcast::Receiver<Event>,
    queue: Workqueue,
    /// What is known of the namespaces where nothing is being done; what is being done has the others.
    idle: HashMap<String, NamespaceReconciler>,
    busy: HashSet<String>,
    /// What the last list had, until its namespace is looked at.
    listed: HashMap<String, Vec<Published>>,
    workers: JoinSet<Done>,
    /// Of those who taught what waits to be published.
    waiting: HashMap<Key, Vec<Context>>,
}

/// What came of a key.
struct Done {
    key: Key,
    namespace: NamespaceReconciler,
    result: Result<Progress, SinkError>,
    spans: Vec<Context>,
}

impl Reconciler {
    pub(crate) fn new(tools: Tools, readiness: Arc<Readiness>) -> Self {
        Self {
            events: tools.view.follow(),
            tools: Arc::new(tools),
            readiness,
            queue: Workqueue::default(),
            idle: HashMap::new(),
            busy: HashSet::new(),
            listed: HashMap::new(),
            workers: JoinSet::new(),
            waiting: HashMap::new(),
        }
    }

    /// Reconciles until a worker dies. Start it only once the store is loaded and the inventory has synced.
    pub(crate) async fn run(mut self) {
        self.recall().await;
        self.note_running();
        // After a restart there may be Sidecars that lost their reason in the meantime.
        self.enqueue(Event::Everything);
        let mut look = tokio::time::interval(LOOK);
        loop {
            self.start_what_is_due();
            let next = self.next();
            tokio::select! {
                event = self.events.recv() => match event {
                    Ok(event) => self.enqueue(event),
                    Err(RecvError::Lagged(_)) => self.enqueue(Event::Everything),
                    Err(RecvError::Closed) => return,
                },
                Some(done) = self.workers.join_next() => match done {
                    Ok(done) => self.finish(done),
                    Err(error) => {
                        tracing::error!(%error, "the work on a namespace died");
                        return;
                    }
                },
                () = sleep_until(next) => {}
                _ = look.tick() => self.put_back().await,
            }
        }
    }

    /// Finds out which namespaces are lazy already. Nothing may be withdrawn before that is known.
    async fn recall(&mut self) {
        let list = || self.tools.sink.list();
        let told = |error: &SinkError, wait| {
            tracing::warn!(%error, retry_in = ?wait, "cannot list the Sidecars that are there");
            self.readiness.publisher(Err(error.to_string()));
        };
        // It does not end before it has worked.
        let Ok(there) = list.retry(retries()).notify(told).await else {
            return;
        };
        self.readiness.publisher(Ok(()));
        // Where they are an earlier collector has seen a filter.
        self.tools.view.change(|view| {
            for place in &there {
                view.policy.filters.see(&place.namespace);
            }
        });
        for default in there.into_iter().filter(|it| it.name == DEFAULT_SIDECAR) {
            let namespace = self.idle.entry(default.namespace.clone()).or_default();
            namespace.found_default(default);
        }
    }

    /// Publishes again what somebody has deleted.
    async fn put_back(&mut self) {
        let places = self.tools.published.places();
        let vanished = self.tools.sink.vanished(places).await;
        let namespaces: HashSet<String> = vanished.into_iter().map(|it| it.namespace).collect();
        for namespace in namespaces {
            let subjects = self.tools.view.subjects_in(&namespace);
            self.add(subjects, Instant::now());
        }
    }

    fn note_running(&mut self) {
        let view = Arc::clone(&self.tools.view);
        for workload in view.workloads_after(None) {
            if view.look().inventory.is_running(&workload) {
                let namespace = self.idle.entry(workload.namespace.clone()).or_default();
                namespace.found_running(Subject::Workload(workload));
            }
        }
    }

    fn enqueue(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Learned { source, held, span } => {
                let subjects: Vec<_> = self.tools.view.look().subjects_of(&source).collect();
                for key in subjects.into_iter().map(Key::from) {
                    self.trace(&key, &span);
                    match held {
                        true => self.queue.add_urgent(key, now),
                        false => self.queue.add(key, now),
                    }
                }
            }
            Event::Affected(subjects) => self.add(subjects, now),
            Event::Everything => {
                let subjects = self.tools.view.subjects();
                self.add(subjects, now);
                self.queue.add(Key::List, now);
            }
        }
    }

    /// From now on a request's trace waits for a Sidecar.
    fn trace(&mut self, key: &Key, parent: &Context) {
        let span = self.tools.spans.child("publish", parent);
        if !span.has_active_span() {
            return;
        }
        spans::note(&span, "lazymesh.sidecar", key);
        let waiting = self.waiting.entry(key.clone()).or_default();
        if waiting.len() < MAX_SPANS {
            waiting.push(span);
        }
    }

    fn add(&mut self, subjects: impl IntoIterator<Item = Subject>, now: Instant) {
        for subject in subjects {
            self.queue.add(subject.into(), now);
        }
    }

    fn start_what_is_due(&mut self) {
        while self.workers.len() < MAX_WORKERS
            && let Some(key) = self.queue.take(Instant::now(), &self.busy)
        {
            let mut namespace = self.idle.remove(key.namespace()).unwrap_or_default();
            if let Some(listed) = self.listed.remove(key.namespace()) {
                namespace.listed(listed);
            }
            self.busy.insert(key.namespace().to_owned());
            let tools = Arc::clone(&self.tools);
            let spans = self.waiting.remove(&key).unwrap_or_default();
            self.workers.spawn(async move {
                let result = namespace.reconcile(&tools, &key).await;
                Done {
                    key,
                    namespace,
                    result,
                    spans,
                }
            });
        }
        let waiting = i64::try_from(self.queue.len()).unwrap_or(i64::MAX);
        self.tools.metrics.publish_waiting.set(waiting);
    }

    /// When there is something to start again, unless something ends first.
    fn next(&self) -> Option<Instant> {
        let is_full = self.workers.len() == MAX_WORKERS;
        self.queue.next(&self.busy).filter(|_| !is_full)
    }

    fn finish(&mut self, done: Done) {
        let Done {
            key,
            mut namespace,
            result,
            spans,
        } = done;
        for span in &spans {
            spans::end(span, &result);
        }
        let now = Instant::now();
        for (subject, due) in namespace.requeued() {
            self.queue.add_at(subject.into(), due);
        }
        self.busy.remove(key.namespace());
        if !namespace.is_empty() {
            self.idle.insert(key.namespace().to_owned(), namespace);
        }
        match result {
            Ok(progress) => {
                let changed = matches!(progress, Progress::Done { changed: true });
                self.queue.done(&key, changed, now);
                match progress {
                    Progress::Done { .. } => {}
                    Progress::Again => self.queue.add_at(key, now),
                    Progress::Found(there) => self.look_for_orphans(there, now),
                }
            }
            Err(error) => {
                self.tools.metrics.publish_failed.inc();
                let wait = self.queue.failed(key.clone(), now);
                tracing::warn!(%key, %error, retry_in = ?wait, "cannot publish");
                self.readiness.publisher(Err(error.to_string()));
            }
        }
        if self.queue.failing() == 0 {
            self.readiness.publisher(Ok(()));
        }
    }

    fn look_for_orphans(&mut self, there: Vec<Published>, now: Instant) {
        self.listed.clear();
        for place in there {
            self.queue.add(Key::Orphans(place.namespace.clone()), now);
            let listed = self.listed.entry(place.namespace.clone());
            listed.or_default().push(place);
        }
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => future::pending().await,
    }
}

#[cfg(test)]
mod tests;
