//! Makes observations of access logs: what a sidecar has sent where, whether a filter saw it or not.

mod call;
mod message;
mod node;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use lazymesh_core::{Learned, QuestionError, Workload};
use lazymesh_protocol::Source;

use self::call::Call;
pub(crate) use self::call::Log;
pub(crate) use self::message::{StreamAccessLogsMessage, StreamAccessLogsResponse};
pub(crate) use self::node::source;
use crate::learn::{Learner, Observation, Origin, What};
use crate::runtime::metrics::Metrics;
use crate::state::{SharedView, View};
use crate::store::StoreError;

/// Most different calls that a stream counts before they are learned.
const CALLS: usize = 512;

/// The calls of one stream that are not learned yet, counted.
#[derive(Default)]
pub(crate) struct Calls {
    counts: HashMap<Call, u64>,
    rejected: u64,
}

impl Calls {
    /// Takes a message's entries in; how many there were.
    pub(crate) fn add(&mut self, message: StreamAccessLogsMessage) -> u32 {
        let logs = [(message.http_logs, Log::Http), (message.tcp_logs, Log::Tcp)];
        let mut count = 0;
        for (entries, log) in logs {
            for entry in entries.unwrap_or_default().log_entry {
                self.take(entry, log);
                count += 1;
            }
        }
        count
    }

    fn take(&mut self, entry: Bytes, log: Log) {
        match Call::read(entry, log) {
            Ok(call) if call.is_outbound() => *self.counts.entry(call).or_default() += 1,
            Ok(_) | Err(_) => self.rejected += 1,
        }
    }

    /// Whether they are to be learned before more are taken in.
    pub(crate) fn are_many(&self) -> bool {
        self.counts.len() >= CALLS
    }

    fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.rejected == 0
    }
}

/// Learns from access logs.
pub(crate) struct AccessLogs {
    view: Arc<SharedView>,
    learner: Learner,
    metrics: Arc<Metrics>,
}

impl AccessLogs {
    pub(crate) fn new(view: Arc<SharedView>, learner: Learner, metrics: Arc<Metrics>) -> Self {
        Self {
            view,
            learner,
            metrics,
        }
    }

    /// Learns what a workload called.
    ///
    /// # Errors
    /// Nothing new was learned then.
    pub(crate) async fn learn(
        &self,
        source: &Source,
        calls: Calls,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        if calls.is_empty() {
            return Ok(());
        }
        let (mut observations, mut rejected) = (Vec::new(), calls.rejected);
        let mut accepted = 0;
        {
            let view = self.view.look();
            for (call, count) in &calls.counts {
                match observations_of(&view, source, call, *count, now_ms) {
                    Ok(some) => {
                        accepted += count;
                        observations.extend(some);
                    }
                    Err(_) => rejected += count,
                }
            }
        }
        self.metrics.access_log_accepted.inc_by(accepted);
        self.metrics.access_log_rejected.inc_by(rejected);
        self.learner.observe_all(&observations).await?;
        Ok(())
    }
}

/// A call that reached a host of the mesh teaches that host, and the one that the application named: behind a
/// VirtualService these differ. Any other teaches what a filter would have asked.
fn observations_of(
    view: &View,
    source: &Source,
    call: &Call,
    count: u64,
    at_ms: u64,
) -> Result<Vec<Observation>, QuestionError> {
    let origin = Origin::AccessLog;
    let question = call.question(source);
    let reached = call.host();
    let Some(reached) =
        reached.and_then(|it| view.inventory.egress_host_seen(it, &source.namespace))
    else {
        let asked = Observation::asked(question?, count, at_ms, origin);
        return Ok(vec![asked]);
    };
    let named = question.ok().map(|question| view.decide(&question).learned);
    let mut hosts = vec![reached];
    if let Some(Learned::Host(named)) = named {
        hosts.push(named);
    }
    hosts.dedup();
    let source = Workload {
        namespace: source.namespace.clone(),
        name: source.workload.clone(),
    };
    let observation = |host| Observation {
        source: source.clone(),
        what: What::Host(host),
        count,
        at_ms,
        origin,
    };
    Ok(hosts.into_iter().map(observation).collect())
}
