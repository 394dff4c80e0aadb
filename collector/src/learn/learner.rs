//! Learns from observations: decides about each, makes what is new durable, then known, then announced.

use std::sync::Arc;
use std::time::Instant;

use lazymesh_core::{
    Dependency, ExternalHost, Graph, Learned, Origin as Kept, Outcome, Seen, Sightings, Witness,
    Workload,
};
use lazymesh_protocol::{Decision, PassthroughReason};
use opentelemetry::Context;
use opentelemetry::trace::FutureExt;

use crate::history::What as Happened;
use crate::learn::observation::{Observation, Origin, What};
use crate::learn::recorder::{Permit, Recorder};
use crate::learn::watches::Watches;
use crate::runtime::metrics::Metrics;
use crate::runtime::readiness::Readiness;
use crate::state::{Event, SharedView, View};
use crate::store::{Change, StoreError};
use crate::uses::Use;

/// Takes observations into the graph.
#[derive(Clone)]
pub(crate) struct Learner {
    view: Arc<SharedView>,
    recorder: Arc<Recorder>,
    watches: Arc<Watches>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
}

/// Something new.
struct Lesson {
    source: Workload,
    learned: Learned,
    count: u64,
    at_ms: u64,
    witness: Witness,
    /// Whether a request is held until it is published.
    held: bool,
}

impl Learner {
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
        }
    }

    /// Decides about an observation that teaches nothing new, and counts it; none of one that does.
    pub(crate) fn recall(&self, observation: &Observation) -> Option<Outcome> {
        let outcome = self.decide(observation);
        self.count(observation, &outcome.learned).then_some(outcome)
    }

    /// Decides about observations, as [`Learner::recall`] and [`Learner::learn`] do.
    ///
    /// # Errors
    /// Nothing new was learned then, as far as the caller may know.
    pub(crate) async fn observe_all(
        &self,
        observations: &[Observation],
    ) -> Result<Vec<Outcome>, StoreError> {
        let now = Instant::now();
        let told = observations.iter();
        for observation in told.filter(|it| it.origin.witness() != Witness::Filter) {
            self.watches.heard(&observation.source, now);
        }
        let recalled: Vec<_> = observations.iter().map(|it| self.recall(it)).collect();
        let unknown = observations.iter().zip(&recalled);
        let unknown = unknown.filter(|(_, recalled)| recalled.is_none());
        let unknown: Vec<_> = unknown.map(|(observation, _)| observation).collect();
        let mut learned = self.learn(&unknown).await?.into_iter();
        let outcomes = recalled.into_iter();
        Ok(outcomes
            .filter_map(|it| it.or_else(|| learned.next()))
            .collect())
    }

    /// Decides about observations that could not be recalled. What they teach is durable when this returns.
    ///
    /// # Errors
    /// Nothing new was learned then, as far as the caller may know.
    pub(crate) async fn learn(
        &self,
        observations: &[&Observation],
    ) -> Result<Vec<Outcome>, StoreError> {
        if observations.is_empty() {
            return Ok(Vec::new());
        }
        let permits = self.recorder.permit(observations.len()).await?;
        // While this waited for its turn, others may have learned the same, or used up what room there was.
        let mut lessons = Vec::new();
        let mut outcomes = Vec::with_capacity(observations.len());
        for observation in observations {
            let outcome = self.decide(observation);
            if !self.count(observation, &outcome.learned) {
                add(&mut lessons, observation, &outcome);
            }
            outcomes.push(outcome);
        }
        self.write(lessons, permits).await?;
        Ok(outcomes)
    }

    fn decide(&self, observation: &Observation) -> Outcome {
        let view = self.view.look();
        let mut outcome = match &observation.what {
            What::Question(question) => view.decide(question),
            What::Host(host) => view.observe(&observation.source, host),
        };
        drop(view);
        if is_external(&outcome) && !self.readiness.is_whole() {
            outcome.learned = Learned::Nothing;
        }
        outcome
    }

    /// Counts a use of something known, in memory only; `false` when it has to be learned first.
    fn count(&self, observation: &Observation, learned: &Learned) -> bool {
        self.view.count(Use {
            source: &observation.source,
            learned,
            witness: observation.origin.witness(),
            at_ms: observation.at_ms,
            count: observation.count,
        })
    }

    /// Runs as a task of its own: a filter that has given up waiting must not leave behind what is on disk
    /// but not in the graph, or a slow disk would keep its host from ever being published.
    async fn write(&self, lessons: Vec<Lesson>, permits: Permit) -> Result<(), StoreError> {
        if lessons.is_empty() {
            return Ok(());
        }
        let learner = self.clone();
        let work = async move {
            let result = learner.record(lessons).await;
            drop(permits);
            result
        };
        let task = tokio::spawn(work.with_current_context());
        task.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn record(&self, lessons: Vec<Lesson>) -> Result<(), StoreError> {
        let changes: Vec<Change> = lessons.iter().filter_map(Lesson::change).collect();
        self.recorder.commit(changes).await?;
        self.metrics.learned.inc_by(lessons.len() as u64);
        let (events, happened, namespaces) = self.view.change(|view| apply(view, lessons));
        for event in events {
            self.view.announce(event);
        }
        self.view.announce_namespaces(&namespaces);
        for what in happened {
            self.view.history().record(what);
        }
        Ok(())
    }
}

/// Whether nothing in the inventory has the host. That says little while the inventory is not whole.
pub(crate) fn is_external(outcome: &Outcome) -> bool {
    let external = Decision::Passthrough {
        reason: PassthroughReason::External,
    };
    outcome.decision == external
}

/// Adds what an observation taught, once for many that taught the same.
fn add(lessons: &mut Vec<Lesson>, observation: &Observation, outcome: &Outcome) {
    let source = &observation.source;
    let mut known = lessons.iter_mut();
    if let Some(lesson) = known.find(|it| it.source == *source && it.learned == outcome.learned) {
        lesson.count = lesson.count.saturating_add(observation.count);
        return;
    }
    let is_held = matches!(outcome.decision, Decision::Hold { .. });
    lessons.push(Lesson {
        source: source.clone(),
        learned: outcome.learned.clone(),
        count: observation.count,
        at_ms: observation.at_ms,
        witness: observation.origin.witness(),
        held: is_held && observation.origin == Origin::Request,
    });
}

impl Lesson {
    fn happened(&self) -> Option<Happened> {
        let (source, witness) = (self.source.clone(), self.witness);
        match self.learned.clone() {
            Learned::Host(host) => Some(Happened::Learned {
                source,
                host,
                witness,
            }),
            Learned::External(host) => Some(Happened::LearnedExternal {
                source,
                host,
                witness,
            }),
            Learned::Nothing => None,
        }
    }

    fn change(&self) -> Option<Change> {
        let source = self.source.clone();
        let (first_seen_ms, last_seen_ms, count) = (self.at_ms, self.at_ms, self.count);
        match self.learned.clone() {
            Learned::Host(host) => Some(Change::Dependency(Dependency {
                source,
                host,
                first_seen_ms,
                last_seen_ms,
                count,
                origin: Kept::Learned,
                sightings: Sightings::of(
                    self.witness,
                    Seen {
                        first_ms: first_seen_ms,
                        last_ms: last_seen_ms,
                    },
                ),
            })),
            Learned::External(host) => Some(Change::External(ExternalHost {
                source,
                host,
                first_seen_ms,
                last_seen_ms,
                count,
            })),
            Learned::Nothing => None,
        }
    }
}

/// Makes known what is durable now. With what was learned, the namespaces that may learn no more: who has learned nothing
/// there yet has everything in its scope.
fn apply(view: &mut View, lessons: Vec<Lesson>) -> (Vec<Event>, Vec<Happened>, Vec<String>) {
    let is_new = |lesson: &Lesson| !view.graph.has(&lesson.source);
    let may_fill = view.graph.is_filling_up(lessons.len()) || lessons.iter().any(is_new);
    let had_room = may_fill.then(|| view.rooms());
    let (mut events, mut happened) = (Vec::new(), Vec::new());
    for lesson in lessons {
        let Some(change) = lesson.change() else {
            continue;
        };
        let is_new = take(&mut view.graph, change, lesson.witness);
        let is_dependency = matches!(lesson.learned, Learned::Host(_));
        if is_new {
            happened.extend(lesson.happened());
        }
        if (is_new && is_dependency) || lesson.held {
            events.push(Event::Learned {
                source: lesson.source,
                held: lesson.held,
                span: Context::current(),
            });
        }
    }
    let full = had_room.map(|before| view.namespaces_whose_room_differs(before));
    (events, happened, full.unwrap_or_default())
}

/// Whether it is new. Requests for the same host may have been on their way to the disk
/// together; all of them count.
fn take(graph: &mut Graph, change: Change, witness: Witness) -> bool {
    match change {
        Change::Dependency(new) => {
            let at_ms = new.last_seen_ms;
            if graph.touch(&new.source, &new.host, witness, at_ms, new.count) {
                return false;
            }
            graph.insert(new);
            true
        }
        Change::External(new) => {
            let at_ms = new.last_seen_ms;
            if graph.touch_external(&new.source, &new.host, witness, at_ms, new.count) {
                return false;
            }
            graph.insert_external(new);
            true
        }
        Change::RemoveDependency { .. }
        | Change::RemoveExternal { .. }
        | Change::Revert(_)
        | Change::Resume { .. } => false,
    }
}
