//! How the plugin follows a decision, at once or after a hold.

use lazymesh_protocol::{Decision, Share, Trouble};

use super::{Plugin, undecided};
use crate::answer::is_outbound;
use crate::flow::Flow;
use crate::holds::{ClusterState, Held};
use crate::host::{Action, Host};
use crate::metrics::Metric;

impl Plugin {
    /// Follows a decision for the selected request or connection.
    pub(super) fn follow(
        &mut self,
        host: &mut impl Host,
        now_ms: u64,
        flow: Flow,
        decision: &Decision,
    ) -> Action {
        match decision {
            Decision::Direct {
                subject_alt_names,
                server_name,
            } => {
                if !flow.direct(host, subject_alt_names, server_name) {
                    return self.hold_instead(host, now_ms, flow, server_name);
                }
                host.add(Metric::Direct, 1);
            }
            Decision::Hold {
                cluster,
                split,
                timeout_ms,
            } => {
                host.add(Metric::Hold, 1);
                let cluster = self.choose(split).unwrap_or(cluster);
                return self.hold(host, now_ms, flow, cluster, *timeout_ms);
            }
            Decision::Passthrough { .. } => {
                host.add(Metric::Passthrough, 1);
                flow.as_dialled(host);
            }
        }
        Action::Continue
    }

    /// Holds a request for its host's cluster, which the SNI names, too. Envoy 1.36 takes filter state in a request's own
    /// callbacks only, and an answer comes in another. For a connection there is no other way.
    fn hold_instead(
        &mut self,
        host: &mut impl Host,
        now_ms: u64,
        flow: Flow,
        server_name: &str,
    ) -> Action {
        let cluster = server_name.replacen("_.", "|", 3);
        match flow {
            Flow::Request(..) if is_outbound(&cluster) => {
                host.add(Metric::Hold, 1);
                self.hold(host, now_ms, flow, &cluster, self.config.max_hold_ms)
            }
            _ => undecided(host, flow),
        }
    }

    /// One of the clusters that requests are split over, as often as its weight says.
    fn choose<'a>(&mut self, split: &'a [Share]) -> Option<&'a str> {
        let weights = split.iter().map(|share| u64::from(share.weight));
        let mut rest = self.random.below(weights.fold(0, u64::saturating_add));
        let chosen = split.iter().find(|share| {
            let after = rest.checked_sub(share.weight.into());
            rest = after.unwrap_or_default();
            after.is_none()
        })?;
        Some(&chosen.cluster)
    }

    /// Follows a decision for all who waited for it.
    pub(super) fn release(
        &mut self,
        host: &mut impl Host,
        now_ms: u64,
        waiters: Vec<Flow>,
        decision: &Decision,
    ) {
        for flow in waiters {
            if host.select(flow.context())
                && self.follow(host, now_ms, flow, decision) == Action::Continue
            {
                flow.resume(host);
            }
        }
    }

    /// Sends on all who waited in vain.
    pub(super) fn give_up(&self, host: &mut impl Host, waiters: Vec<Flow>) {
        for flow in waiters {
            if host.select(flow.context()) {
                undecided(host, flow);
                flow.resume(host);
            }
        }
    }

    /// Sends on those held requests whose cluster has come or whose time has run out.
    pub(super) fn release_held(&mut self, host: &mut impl Host, now_ms: u64) {
        for (held, ready) in self.holds.release(host, now_ms) {
            self.end_hold(host, now_ms, &held, ready);
        }
    }

    pub(super) fn end_hold(&mut self, host: &mut impl Host, now_ms: u64, held: &Held, ready: bool) {
        host.add(Metric::Held, -1);
        host.record(Metric::HoldTime, now_ms.saturating_sub(held.since_ms));
        if !ready {
            host.add(Metric::HoldTimeouts, 1);
            let trouble = Trouble {
                protocol: held.flow.protocol(),
                hold_timeouts: 1,
                callout_failures: 0,
            };
            self.counts.add_trouble(trouble, now_ms);
        }
        if !host.select(held.flow.context()) {
            return;
        }
        if ready {
            held.flow.through(host, &held.cluster);
        } else {
            held.flow.as_dialled(host);
        }
        held.flow.resume(host);
    }

    fn hold(
        &mut self,
        host: &mut impl Host,
        now_ms: u64,
        flow: Flow,
        cluster: &str,
        timeout_ms: u32,
    ) -> Action {
        match self.holds.state(host, cluster, now_ms) {
            ClusterState::Ready => {
                flow.through(host, cluster);
                Action::Continue
            }
            ClusterState::Missing if self.has_room() => {
                let timeout_ms = timeout_ms.min(self.config.max_hold_ms);
                let deadline_ms = now_ms.saturating_add(timeout_ms.into());
                let cluster = cluster.to_owned();
                self.holds.hold(Held {
                    flow,
                    cluster,
                    since_ms: now_ms,
                    deadline_ms,
                });
                host.add(Metric::Held, 1);
                Action::Pause
            }
            ClusterState::Missing | ClusterState::TimedOut => {
                flow.as_dialled(host);
                Action::Continue
            }
        }
    }
}
