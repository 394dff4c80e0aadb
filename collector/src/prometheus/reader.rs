//! Reads what there is to read, in parts that are small enough, and tells how that goes.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use backon::BackoffBuilder;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::answer::Sample;
use super::client::{Client, Failure};
use super::config::PrometheusConfig;
use super::progress::{Progress, Window};
use super::query::{Callers, Counter, Queries};
use super::series::{Untold, observation};
use crate::learn::Learner;
use crate::runtime::clock::now_ms;
use crate::runtime::metrics::Metrics;
use crate::runtime::readiness::Readiness;
use crate::runtime::retry::{LONGEST, retries};
use crate::state::SharedView;

/// Series that are learned from together.
const BATCH: usize = 250;
/// Most callers that are remembered to be too many for one answer. They are found out once more.
const MAX_SPLIT: usize = 20_000;
/// How often it is looked whether there is something to read.
const GLANCE: Duration = Duration::from_secs(1);

/// What a reader needs of the collector.
pub(crate) struct Stations {
    pub(crate) view: Arc<SharedView>,
    pub(crate) learner: Learner,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Arc<Readiness>,
}

/// Reads one Prometheus.
pub(crate) struct Reader {
    client: Client,
    queries: Queries,
    stations: Stations,
    progress: Progress,
    /// Callers that make too many calls for one answer.
    split: HashSet<(Counter, Callers)>,
    /// What the last answers about the present were worth.
    verdict: Result<(), String>,
}

/// What became of the series of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    told: u64,
    nameless: u64,
    untold: u64,
}

impl Reader {
    pub(crate) fn new(client: Client, config: &PrometheusConfig, stations: Stations) -> Self {
        let (every, lookback) = (config.prometheus_interval, config.prometheus_lookback);
        Self {
            client,
            queries: config.into(),
            stations,
            progress: Progress::new(every, lookback),
            split: HashSet::new(),
            verdict: Ok(()),
        }
    }

    /// Reads for ever.
    pub(crate) async fn run(mut self) {
        let mut waits = retries().build();
        let readiness = &self.stations.readiness;
        readiness.prometheus(Err("it has not answered yet".to_owned()));
        loop {
            let readiness = &self.stations.readiness;
            let Some(window) = self.progress.next(now_ms()) else {
                sleep(GLANCE).await;
                continue;
            };
            // What is not in an inventory that lacks something may be in the mesh all the same, and would be lost.
            if !readiness.is_whole() {
                readiness.prometheus(Err("it is read once the inventory is whole".to_owned()));
                sleep(GLANCE).await;
                continue;
            }
            match self.read(&window).await {
                Ok(tally) => {
                    self.take_in(&window, tally);
                    waits = retries().build();
                }
                Err(failure) => {
                    self.progress.failed();
                    let Stations {
                        metrics, readiness, ..
                    } = &self.stations;
                    metrics.prometheus_failed.inc();
                    tracing::warn!(%failure, "cannot read Prometheus; what is missed is read later");
                    readiness.prometheus(Err(failure.to_string()));
                    sleep(waits.next().unwrap_or(LONGEST)).await;
                }
            }
        }
    }

    /// A window has been read.
    fn take_in(&mut self, window: &Window, tally: Tally) {
        let caught_up = self.progress.is_caught_up();
        self.progress.done(window);
        if !caught_up && self.progress.is_caught_up() {
            tracing::info!("all of Prometheus's past that is asked for has been read");
        }
        if !window.past {
            self.verdict = self.judge(tally);
        }
        let Stations {
            metrics, readiness, ..
        } = &self.stations;
        metrics.prometheus_told.inc_by(tally.told);
        metrics
            .prometheus_untold
            .inc_by(tally.nameless + tally.untold);
        metrics.prometheus_read(self.progress.until_ms(), self.progress.is_caught_up());
        readiness.prometheus(self.verdict.clone());
    }

    /// Whether answers were what is to be expected of a Prometheus that has Istio's metrics.
    fn judge(&self, tally: Tally) -> Result<(), String> {
        let labels = &self.queries.labels;
        match tally {
            Tally {
                told: 0,
                nameless: 1..,
                ..
            } => Err(format!(
                "expected callers in the labels {}, {} or {}, got none in any of {} series; see --prometheus-label",
                labels.namespace, labels.canonical, labels.workload, tally.nameless
            )),
            Tally {
                told: 0, untold: 0, ..
            } => Err(format!(
                "expected series of {} with {}=\"source\", got none: does it scrape the sidecars?",
                Counter::Requests.name(),
                labels.reporter
            )),
            _ => Ok(()),
        }
    }

    /// Learns all of a window, or as much of it as there is to be had.
    async fn read(&mut self, window: &Window) -> Result<Tally, Failure> {
        let mut tally = Tally::default();
        let mut unread = None;
        for counter in Counter::ALL {
            let mut waiting = vec![Callers::All];
            while let Some(callers) = waiting.pop() {
                match self.samples(counter, &callers, window).await {
                    Ok(samples) => tally += self.learn(counter, window, &samples).await?,
                    Err(Failure::TooMuch(reason)) => {
                        match self.parts(counter, callers, window).await? {
                            parts if parts.is_empty() => unread = Some(Failure::TooMuch(reason)),
                            parts => waiting.extend(parts),
                        }
                    }
                    Err(failure) => return Err(failure),
                }
            }
        }
        unread.map_or(Ok(tally), Err)
    }

    async fn samples(
        &self,
        counter: Counter,
        callers: &Callers,
        window: &Window,
    ) -> Result<Vec<Sample>, Failure> {
        if self.split.contains(&(counter, callers.clone())) {
            return Err(Failure::TooMuch("more than that before".to_owned()));
        }
        let query = self.queries.calls(counter, callers, window);
        let samples = self.client.query(&query, window.to_ms).await?;
        self.stations.metrics.prometheus_answered.inc();
        Ok(samples)
    }

    /// The callers that some consist of; none where they cannot be told apart further.
    async fn parts(
        &mut self,
        counter: Counter,
        callers: Callers,
        window: &Window,
    ) -> Result<Vec<Callers>, Failure> {
        let labels = &self.queries.labels;
        let label = match &callers {
            Callers::All => &labels.namespace,
            Callers::Namespace(_) => &labels.workload,
            Callers::Workload { .. } => return Ok(Vec::new()),
        };
        let series = self.queries.series(counter, &callers);
        let values = self.client.values(label, &series, window).await?;
        let parts = match &callers {
            Callers::Namespace(namespace) => {
                // Those that are named by the other label alone are a part, too.
                let names = values.into_iter().chain([String::new()]);
                let workload = |workload| Callers::Workload {
                    namespace: namespace.clone(),
                    workload,
                };
                names.map(workload).collect()
            }
            _ => values.into_iter().map(Callers::Namespace).collect(),
        };
        if self.split.len() >= MAX_SPLIT {
            self.split.clear();
        }
        self.split.insert((counter, callers));
        Ok(parts)
    }

    async fn learn(
        &self,
        counter: Counter,
        window: &Window,
        samples: &[Sample],
    ) -> Result<Tally, Failure> {
        let Stations { view, learner, .. } = &self.stations;
        let mut tally = Tally::default();
        for samples in samples.chunks(BATCH) {
            let observations: Vec<_> = {
                let view = view.look();
                let labels = &self.queries.labels;
                let read = |sample| observation(&view, labels, counter, window, sample);
                let read = samples.iter().map(read);
                read.filter_map(|it| tally.add(it)).collect()
            };
            learner.observe_all(&observations).await?;
            yield_now().await;
        }
        Ok(tally)
    }
}

impl Tally {
    /// Counts one series; what it taught.
    fn add<T>(&mut self, read: Result<Option<T>, Untold>) -> Option<T> {
        match read {
            Ok(_) => self.told += 1,
            Err(Untold::Caller) => self.nameless += 1,
            Err(Untold::Stranger | Untold::Callee | Untold::Value) => self.untold += 1,
        }
        read.ok().flatten()
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.told += other.told;
        self.nameless += other.nameless;
        self.untold += other.untold;
    }
}
