//! Requests that wait for their cluster to arrive from istiod.
//!
//! No attribute tells whether a worker has a cluster, so it is probed, once per cluster and tick for all who wait for
//! it. What a probe found is remembered for a moment: probing a cluster that already carries traffic would take one
//! of its connections.

use crate::catch_all::CatchAll;
use crate::host::{ContextId, Host};

/// Milliseconds between probes while something is held.
pub(crate) const PROBE_INTERVAL_MS: u64 = 5;
/// A cluster that was there is taken to be there for so many milliseconds: longer than its route takes to follow
/// it, from when on its requests no longer come here, and no longer, for a request to a cluster that has gone fails.
const HERE_MS: u64 = 250;
/// For so many milliseconds after a request has waited in vain, others do not wait for the same cluster.
const IN_VAIN_MS: u64 = 5_000;
/// Most clusters that are remembered; one more is just probed again.
const MAX_REMEMBERED: usize = 64;

/// Whether to send a request through a cluster, now or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It is there.
    Here,
    /// It is not, and is worth waiting for.
    Absent,
    /// It is not, and others have just waited in vain.
    InVain,
}

/// One request that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Which one.
    pub(crate) context: ContextId,
    /// For which cluster.
    pub(crate) cluster: String,
    /// What to do when it does not come.
    pub(crate) catch_all: CatchAll,
    /// Since when, in milliseconds.
    pub(crate) since_ms: u64,
    /// Until when, in milliseconds.
    pub(crate) deadline_ms: u64,
}

#[derive(Debug)]
struct Memory {
    cluster: String,
    here: bool,
    until_ms: u64,
}

/// Every held request of one worker, those for one cluster next to each other.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    held: Vec<Held>,
    memories: Vec<Memory>,
}

impl Holds {
    /// Whether this worker has a cluster.
    pub(crate) fn look(&mut self, host: &mut impl Host, cluster: &str, now_ms: u64) -> Presence {
        let memory = self
            .memories
            .iter()
            .find(|memory| memory.cluster == cluster && memory.until_ms > now_ms);
        let in_vain = memory.is_some();
        if memory.is_some_and(|memory| memory.here) {
            return Presence::Here;
        }
        if host.has_cluster(cluster) {
            self.remember(cluster, true, now_ms);
            return Presence::Here;
        }
        if in_vain {
            Presence::InVain
        } else {
            Presence::Absent
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
        self.held.retain(|held| held.context != context);
        self.held.len() < before
    }

    /// Takes out all whose cluster has come (true) or whose time has run out (false).
    pub(crate) fn release(&mut self, host: &mut impl Host, now_ms: u64) -> Vec<(Held, bool)> {
        let (mut released, mut kept) = (Vec::new(), Vec::new());
        let mut looked: Option<(String, bool)> = None;
        for held in std::mem::take(&mut self.held) {
            let here = match &looked {
                Some((cluster, here)) if *cluster == held.cluster => *here,
                _ => self.look(host, &held.cluster, now_ms) == Presence::Here,
            };
            looked = Some((held.cluster.clone(), here));
            if here || held.deadline_ms <= now_ms {
                released.push((held, here));
            } else {
                kept.push(held);
            }
        }
        self.held = kept;
        for (late, _) in released.iter().filter(|(_, here)| !here) {
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

    fn remember(&mut self, cluster: &str, here: bool, now_ms: u64) {
        self.memories
            .retain(|memory| memory.until_ms > now_ms && memory.cluster != cluster);
        if self.memories.len() < MAX_REMEMBERED {
            let until_ms = now_ms.saturating_add(if here { HERE_MS } else { IN_VAIN_MS });
            self.memories.push(Memory {
                cluster: cluster.to_owned(),
                here,
                until_ms,
            });
        }
    }
}
