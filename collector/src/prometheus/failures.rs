//! Asks how the calls of canaries end: whether more of them fail than usually do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lazymesh_core::{Bounds, Calls, Symptoms, Workload};
use tokio::time::MissedTickBehavior;

use super::answer::Sample;
use super::client::{Client, Failure};
use super::config::PrometheusConfig;
use super::progress::Window;
use super::query::Queries;
use super::series::caller;
use crate::canary::Canaries;
use crate::runtime::clock::now_ms;

const DAY_MS: u64 = 86_400_000;

/// Looks at canaries through one Prometheus.
pub(crate) struct Failures {
    client: Client,
    queries: Queries,
    every: Duration,
    bounds: Bounds,
    canaries: Arc<Canaries>,
}

impl Failures {
    pub(crate) fn new(
        client: Client,
        config: &PrometheusConfig,
        bounds: Bounds,
        canaries: Arc<Canaries>,
    ) -> Self {
        Self {
            client,
            queries: config.into(),
            every: config.prometheus_interval,
            bounds,
            canaries,
        }
    }

    /// Looks for ever.
    pub(crate) async fn run(self) {
        let mut interval = tokio::time::interval(self.every);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            for namespace in self.canaries.namespaces() {
                if let Err(failure) = self.look(&namespace, now_ms()).await {
                    tracing::warn!(%failure, namespace, "cannot ask Prometheus how a canary is");
                }
            }
        }
    }

    /// Judges the workloads of a namespace.
    async fn look(&self, namespace: &str, now_ms: u64) -> Result<(), Failure> {
        let within_ms = u64::try_from(self.bounds.within.as_millis()).unwrap_or(DAY_MS);
        let now = window(now_ms, within_ms);
        let mut failed = self.requests(namespace, true, &now).await?;
        failed.retain(|workload, _| self.canaries.watches(workload));
        // Most of the time nothing fails, and there is no more to ask.
        if !self.suspects(failed.values().map(|failed| (*failed, *failed))) {
            return Ok(());
        }
        let all = self.requests(namespace, false, &now).await?;
        let count = |of: &HashMap<Workload, u64>, workload| of.get(workload).copied();
        let ended = failed.iter().map(|(workload, failed)| {
            (workload, *failed, count(&all, workload).unwrap_or_default())
        });
        if !self.suspects(ended.clone().map(|(_, failed, all)| (failed, all))) {
            return Ok(());
        }
        let before = window(now.from_ms, DAY_MS);
        let usual_failed = self.requests(namespace, true, &before).await?;
        let usual = self.requests(namespace, false, &before).await?;
        for (workload, failed, all) in ended {
            let seen = Symptoms {
                calls: Calls { all, failed },
                usual: Calls {
                    all: count(&usual, workload).unwrap_or_default(),
                    failed: count(&usual_failed, workload).unwrap_or_default(),
                },
                ..Symptoms::default()
            };
            self.canaries.judge(workload, &seen).await;
        }
        Ok(())
    }

    /// Whether it would be too much of somebody, were usually none to fail.
    fn suspects(&self, mut ended: impl Iterator<Item = (u64, u64)>) -> bool {
        ended.any(|(failed, all)| {
            let seen = Symptoms {
                calls: Calls { all, failed },
                ..Symptoms::default()
            };
            self.bounds.exceeded(&seen).is_some()
        })
    }

    async fn requests(
        &self,
        namespace: &str,
        failed: bool,
        window: &Window,
    ) -> Result<HashMap<Workload, u64>, Failure> {
        let query = self.queries.requests(namespace, failed, window);
        let samples = self.client.query(&query, window.to_ms).await?;
        let read = |sample: &Sample| {
            let workload = caller(&self.queries.labels, sample).ok()?;
            Some((workload, sample.calls()?))
        };
        let mut requests = HashMap::new();
        for (workload, count) in samples.iter().filter_map(read) {
            let sum: &mut u64 = requests.entry(workload).or_default();
            *sum = sum.saturating_add(count);
        }
        Ok(requests)
    }
}

fn window(to_ms: u64, span_ms: u64) -> Window {
    Window {
        from_ms: to_ms.saturating_sub(span_ms),
        to_ms,
        past: true,
    }
}
