//! What the filter does, callback by callback.
//!
//! One [`Plugin`] is one configured filter in one worker. Callbacks come with the time, in milliseconds of a clock
//! that never goes back and that all workers share.

mod asking;
mod following;

use lazymesh_protocol::{FilterConfig, Source};

use crate::alarm::Alarm;
use crate::breaker::{Breaker, Change};
use crate::callouts::Callouts;
use crate::catch_all::CatchAll;
use crate::client_hello::MAX_BYTES;
use crate::config::{self, ConfigError};
use crate::counts::Counts;
use crate::flow::{self, Flow};
use crate::heartbeat::Heartbeat;
use crate::holds::{Holds, PROBE_INTERVAL_MS};
use crate::host::{Action, ContextId, Host, Level, Token};
use crate::metrics::Metric;
use crate::outside::Outside;
use crate::prefixes::Prefixes;
use crate::question::{self, Question};
use crate::random::Random;
use crate::shared::SharedDecisions;

/// One configured filter in one worker.
#[derive(Debug)]
pub struct Plugin {
    config: FilterConfig,
    mesh: Prefixes,
    outside: Outside,
    source: Option<Source>,
    decisions: SharedDecisions,
    callouts: Callouts,
    holds: Holds,
    random: Random,
    breaker: Breaker,
    counts: Counts,
    heartbeat: Heartbeat,
    alarm: Alarm,
}

impl Plugin {
    /// A filter with this JSON of a [`FilterConfig`]. `seed` should differ between workers and sidecars.
    ///
    /// # Errors
    /// When the configuration is malformed, or could not work.
    pub fn new(json: &[u8], seed: u64) -> Result<Self, ConfigError> {
        let (config, mesh) = config::parse(json)?;
        Ok(Self {
            outside: Outside::default(),
            source: None,
            decisions: SharedDecisions::new(size(config.max_hosts)),
            callouts: Callouts::default(),
            holds: Holds::default(),
            random: Random::new(seed),
            breaker: Breaker::new(
                config.breaker_failures,
                config.breaker_backoff_ms,
                config.breaker_max_backoff_ms,
                seed,
            ),
            counts: Counts::new(config.report_interval_ms),
            heartbeat: Heartbeat::new(config.heartbeat_interval_ms, seed),
            alarm: Alarm::default(),
            mesh,
            config,
        })
    }

    /// The plugin is in place: its timer may be set.
    pub fn on_start(&mut self, host: &mut impl Host, now_ms: u64) {
        self.heartbeat.start(now_ms);
        self.finish(host, now_ms);
    }

    /// The headers of a request have come; it is the selected context.
    pub fn on_request(&mut self, host: &mut impl Host, now_ms: u64, context: ContextId) -> Action {
        let Some(catch_all) = CatchAll::of(host) else {
            return Action::Continue;
        };
        host.add(Metric::Unresolved, 1);
        flow::strip_header(host);
        let flow = Flow::Request(context, catch_all);
        let action = self.decide(host, now_ms, flow, Question::of(host));
        self.finish(host, now_ms);
        action
    }

    /// A connection was opened that is not HTTP and that nothing but a catch-all filter chain matched; it is the selected
    /// context. Nothing of it has come, and nothing comes before it goes on: its server may be the first to speak.
    pub fn on_connection(
        &mut self,
        host: &mut impl Host,
        now_ms: u64,
        context: ContextId,
    ) -> Action {
        let destination = question::destination(host);
        if !(destination.as_ref()).is_some_and(|destination| self.mesh.contain(destination)) {
            host.add(Metric::Outside, 1);
            self.outside.add(context, destination);
            return Action::Continue;
        }
        host.add(Metric::Unresolved, 1);
        let flow = Flow::Connection(context);
        let question = Question::of_connection(host, destination);
        let action = self.decide(host, now_ms, flow, question);
        self.finish(host, now_ms);
        action
    }

    /// The first bytes of such a connection have come. If it goes outside the mesh it is counted, by the server's name
    /// where they tell it.
    pub fn on_connection_data(
        &mut self,
        host: &mut impl Host,
        now_ms: u64,
        context: ContextId,
    ) -> Action {
        if self.callouts.has(context) || self.holds.has(context) {
            return Action::Pause;
        }
        if let Some(destination) = self.outside.take(context) {
            let bytes = host.connection_data(MAX_BYTES).unwrap_or_default();
            if let Some(question) = Question::of_first_bytes(destination, &bytes) {
                self.counts.add(&question, now_ms);
            }
            self.finish(host, now_ms);
        }
        Action::Continue
    }

    /// A call has ended. It is enough to know the size of the body: a large one is never read.
    pub fn on_call_end(
        &mut self,
        host: &mut impl Host,
        now_ms: u64,
        token: Token,
        body_bytes: usize,
    ) {
        self.end_call(host, now_ms, token, body_bytes);
        self.finish(host, now_ms);
    }

    /// The timer that [`Host::set_tick`] has set rings.
    pub fn on_tick(&mut self, host: &mut impl Host, now_ms: u64) {
        self.end_overdue_calls(host, now_ms);
        self.release_held(host, now_ms);
        self.report(host, now_ms);
        self.decisions.write(host, now_ms);
        if let Some(period_ms) = self.alarm.next(self.due_ms(now_ms), now_ms) {
            host.set_tick(period_ms);
        }
    }

    /// A request or a connection is gone, whether it was paused or not.
    pub fn on_gone(&mut self, host: &mut impl Host, context: ContextId) {
        self.callouts.forget(context);
        self.outside.take(context);
        if self.holds.forget(context) {
            host.add(Metric::Held, -1);
        }
    }

    /// The plugin itself goes, and with it its calls and its timer: nobody may be left waiting for them.
    pub fn on_shutdown(&mut self, host: &mut impl Host, now_ms: u64) {
        while let Some(callout) = self.callouts.end_any() {
            self.give_up(host, callout.waiters);
        }
        while let Some(held) = self.holds.release_any() {
            self.end_hold(host, now_ms, &held, false);
        }
        if !self.breaker.is_closed() {
            host.add(Metric::BreakersOpen, -1);
        }
    }

    fn decide(
        &mut self,
        host: &mut impl Host,
        now_ms: u64,
        flow: Flow,
        question: Option<Question>,
    ) -> Action {
        let Some(question) = question else {
            return undecided(host, flow);
        };
        if let Some(decision) = self.decisions.get(host, &question, now_ms).cloned() {
            host.add(Metric::CacheHits, 1);
            self.counts.add(&question, now_ms);
            return self.follow(host, now_ms, flow, &decision);
        }
        let waits = self.has_room()
            && (self.callouts.join(&question, flow) || self.ask(host, now_ms, &question, flow));
        if waits {
            return Action::Pause;
        }
        match self.decisions.stale(&question).cloned() {
            Some(decision) => self.follow(host, now_ms, flow, &decision),
            None => undecided(host, flow),
        }
    }

    fn has_room(&self) -> bool {
        self.callouts.waiting().saturating_add(self.holds.len()) < size(self.config.max_paused)
    }

    /// What every callback ends with: shares what was learned, and sets the alarm.
    fn finish(&mut self, host: &mut impl Host, now_ms: u64) {
        self.decisions.write(host, now_ms);
        if let Some(period_ms) = self.alarm.by(self.due_ms(now_ms), now_ms) {
            host.set_tick(period_ms);
        }
    }

    fn due_ms(&self, now_ms: u64) -> Option<u64> {
        let probe_ms = (self.holds.len() > 0).then(|| now_ms.saturating_add(PROBE_INTERVAL_MS));
        [
            self.callouts.due_ms(),
            probe_ms,
            self.counts.due_ms(),
            self.heartbeat.due_ms(),
            self.decisions.due_ms(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn note(&self, host: &mut impl Host, change: Change, reason: &str) {
        match change {
            Change::None => {}
            Change::Opened => {
                host.add(Metric::BreakersOpen, 1);
                let reason = reason.as_bytes().escape_ascii();
                host.log(
                    Level::Warn,
                    &format!("lazymesh: the collector fails ({reason}); requests and connections pass as dialled"),
                );
            }
            Change::Closed => {
                host.add(Metric::BreakersOpen, -1);
                host.log(Level::Info, "lazymesh: the collector answers again");
            }
        }
    }
}

/// Sends the selected request or connection on without a decision.
fn undecided(host: &mut impl Host, flow: Flow) -> Action {
    host.add(Metric::Undecided, 1);
    flow.as_dialled(host);
    Action::Continue
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
