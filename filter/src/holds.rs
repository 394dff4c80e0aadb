//! Requests that wait for their cluster to arrive from istiod.
//!
//! No attribute tells whether a worker has a cluster, so it is probed, once per cluster and tick for all who wait for
//! it. What a probe found is remembered for a moment: probing a cluster that already carries traffic would take one
//! of its connections.

use crate::flow::Flow;
use crate::host::{ContextId, Host};

/// Milliseconds between probes while something is held.
pub(crate) const PROBE_INTERVAL_MS: u64 = 5;
/// A cluster that was there is taken to be there for so many milliseconds: longer than its route takes to follow
/// it, from when on its requests no longer come here, and no longer, for a request to a cluster that has gone fails.
const READY_MS: u64 = 250;
/// For so many milliseconds after a request has waited in vain, others do not wait for the same cluster.
const TIMED_OUT_MS: u64 = 5_000;
/// Most clusters that are remembered; one more is just probed again.
const MAX_REMEMBERED: usize = 64;

/// Whether to send a request through a cluster, now or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClusterState {
    /// This worker has it.
    Ready,
    /// It has not, and it is worth waiting for.
    Missing,
    /// It has not, and others have just waited in vain.
    TimedOut,
}

/// One request that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Which one, and what to do when the cluster does not come.
    pub(crate) flow: Flow,
    /// For which cluster.
    pub(crate) cluster: String,
    /// Since when, in milliseconds.
    pub(crate) since_ms: u64,
    /// Until when, in milliseconds.
    pub(crate) deadline_ms: u64,
}

#[derive(Debug)]
struct Probed {
    cluster: String,
    ready: bool,
    until_ms: u64,
}

/// Every held request of one worker, those for one cluster next to each other.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    held: Vec<Held>,
    probed: Vec<Probed>,
}

impl Holds {
    /// Whether this worker has a cluster.
    pub(crate) fn state(
        &mut self,
        host: &mut impl Host,
        cluster: &str,
        now_ms: u64,
    ) -> ClusterState {
        let last = self
            .probed
            .iter()
            .find(|it| it.cluster == cluster && it.until_ms > now_ms);
        let timed_out = last.is_some();
        if last.is_some_and(|it| it.ready) {
            return ClusterState::Ready;
        }
        if host.has_cluster(cluster) {
            self.remember(cluster, true, now_ms);
            return ClusterState::Ready;
        }
        if timed_out {
            ClusterState::TimedOut
        } else {
            ClusterState::Missing
        }
    }

    /// Has a request wait.
    pub(crate) fn hold(&mut self, held: Held) {
        let after = self
            .held
            .partition_point(|other| other.cluster <= held.cluster);
        self.held.insert(after, held);
    }

    /// Forgets a request that is gone. True: it was held.
    pub(crate) fn forget(&mut self, context: ContextId) -> bool {
        let before = self.held.len();
        self.held.retain(|held| held.flow.context() != context);
        self.held.len() < before
    }

    /// Whether this one waits.
    pub(crate) fn has(&self, context: ContextId) -> bool {
        self.held.iter().any(|held| held.flow.context() == context)
    }

    /// Takes out all whose cluster has come (true) or whose time has run out (false).
    pub(crate) fn release(&mut self, host: &mut impl Host, now_ms: u64) -> Vec<(Held, bool)> {
        let (mut released, mut kept) = (Vec::new(), Vec::new());
        let mut last: Option<(String, bool)> = None;
        for held in std::mem::take(&mut self.held) {
            let ready = match &last {
                Some((cluster, ready)) if *cluster == held.cluster => *ready,
                _ => self.state(host, &held.cluster, now_ms) == ClusterState::Ready,
            };
            last = Some((held.cluster.clone(), ready));
            if ready || held.deadline_ms <= now_ms {
                released.push((held, ready));
            } else {
                kept.push(held);
            }
        }
        self.held = kept;
        for (late, _) in released.iter().filter(|(_, ready)| !ready) {
            self.remember(&late.cluster, false, now_ms);
        }
        released
    }

    /// Takes out any.
    pub(crate) fn release_any(&mut self) -> Option<Held> {
        self.held.pop()
    }

    /// Requests held.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    fn remember(&mut self, cluster: &str, ready: bool, now_ms: u64) {
        self.probed
            .retain(|it| it.until_ms > now_ms && it.cluster != cluster);
        if self.probed.len() < MAX_REMEMBERED {
            let until_ms = now_ms.saturating_add(if ready { READY_MS } else { TIMED_OUT_MS });
            self.probed.push(Probed {
                cluster: cluster.to_owned(),
                ready,
                until_ms,
            });
        }
    }
}
