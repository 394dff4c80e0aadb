//! The plugin's calls to the collector: questions and reports.

use lazymesh_protocol::{
    Decision, MAX_RESPONSE_BYTES, PassthroughReason, Protocol, REPORTS_PATH, RESOLVE_PATH, Reports,
    ResolveResponse, Source, Trouble,
};

use super::{Plugin, size};
use crate::answer::{self, AnswerError};
use crate::callouts::Callout;
use crate::decisions::Entry;
use crate::flow::Flow;
use crate::host::{Call, Host, Token};
use crate::identity;
use crate::metrics::Metric;
use crate::question::Question;

/// The host's own time-out comes first, so that it cancels the call; this is for hosts that forget.
const GRACE_MS: u64 = 20;
/// How long a question that the collector refused is not asked again.
const REFUSED_TTL_MS: u32 = 5_000;

impl Plugin {
    /// Starts a callout about this question, for whom others may join. False: it may not be asked now, or could not be.
    pub(super) fn ask(
        &mut self,
        host: &mut impl Host,
        now_ms: u64,
        question: &Question,
        first: Flow,
    ) -> bool {
        if self.callouts.len() >= size(self.config.max_callouts) {
            return false;
        }
        let Some(request) = self.source(host).map(|source| question.ask(source)) else {
            return false;
        };
        let Ok(body) = serde_json::to_vec(&request) else {
            return false;
        };
        if !self.breaker.admit(now_ms) {
            return false;
        }
        host.add(Metric::Callouts, 1);
        let trace = first.trace(host);
        let Some(token) = self.call(host, RESOLVE_PATH, trace.as_deref(), &body) else {
            let reason = "it has no cluster, or no healthy host";
            self.fail(host, now_ms, question.protocol, reason);
            return false;
        };
        let timeout_ms = u64::from(self.config.resolve_timeout_ms);
        let deadline_ms = now_ms.saturating_add(timeout_ms).saturating_add(GRACE_MS);
        self.callouts
            .start(token, question.clone(), deadline_ms, first);
        true
    }

    pub(super) fn end_call(
        &mut self,
        host: &mut impl Host,
        now_ms: u64,
        token: Token,
        body_bytes: usize,
    ) {
        let status = host.call_status();
        let accepted = status.as_deref() == Some(b"200");
        if self.counts.end(token, accepted) {
            if accepted {
                self.heartbeat.answered(now_ms);
            }
            return;
        }
        let Some(callout) = self.callouts.end(token) else {
            return;
        };
        match answer::read(status, body_bytes, || host.call_body(MAX_RESPONSE_BYTES)) {
            Ok(response) => {
                self.succeed(host);
                self.learn(now_ms, &callout, &response);
                self.release(host, now_ms, callout.waiters, &response.decision);
            }
            Err(AnswerError::Refused) => {
                self.succeed(host);
                host.add(Metric::CalloutFailures, 1);
                let decision = Decision::Passthrough {
                    reason: PassthroughReason::External,
                };
                let response = ResolveResponse {
                    decision,
                    host: None,
                    ttl_ms: REFUSED_TTL_MS,
                };
                self.learn(now_ms, &callout, &response);
                self.give_up(host, callout.waiters);
            }
            Err(error) => {
                let protocol = callout.question.protocol;
                self.fail(host, now_ms, protocol, &error.to_string());
                self.fall_back(host, now_ms, callout);
            }
        }
    }

    pub(super) fn end_overdue_calls(&mut self, host: &mut impl Host, now_ms: u64) {
        while let Some(callout) = self.callouts.end_overdue(now_ms) {
            let protocol = callout.question.protocol;
            self.fail(host, now_ms, protocol, "no answer in time");
            self.fall_back(host, now_ms, callout);
        }
    }

    /// Sends the counts that are due, or none if only the heartbeat is. A collector that fails gets heartbeats as often as
    /// one that works, since it takes a filter that says nothing for one that is gone.
    pub(super) fn report(&mut self, host: &mut impl Host, now_ms: u64) {
        let is_due = |due_ms: Option<u64>| due_ms.is_some_and(|due_ms| due_ms <= now_ms);
        let beats = is_due(self.heartbeat.due_ms());
        if !beats && !is_due(self.counts.due_ms()) {
            return;
        }
        let works = self.breaker.is_closed();
        let mut token = None;
        if works || beats {
            token = self.send_reports(host);
            self.heartbeat.sent(now_ms, works);
        }
        self.counts.sent(token, now_ms);
    }

    fn send_reports(&mut self, host: &mut impl Host) -> Option<Token> {
        let source = self.source(host)?.clone();
        let reports = Reports {
            source,
            reports: self.counts.reports(),
            trouble: self.counts.trouble(),
        };
        let body = serde_json::to_vec(&reports).ok()?;
        self.call(host, REPORTS_PATH, None, &body)
    }

    fn call(
        &self,
        host: &mut impl Host,
        path: &'static str,
        trace: Option<&str>,
        body: &[u8],
    ) -> Option<Token> {
        host.call(&Call {
            cluster: &self.config.collector_cluster,
            authority: &self.config.collector_authority,
            path,
            trace,
            body,
            timeout_ms: self.config.resolve_timeout_ms,
        })
    }

    /// There is no answer: the last one is followed, if there was one.
    fn fall_back(&mut self, host: &mut impl Host, now_ms: u64, callout: Callout) {
        match self.decisions.stale(&callout.question).cloned() {
            Some(decision) => self.release(host, now_ms, callout.waiters, &decision),
            None => self.give_up(host, callout.waiters),
        }
    }

    fn learn(&mut self, now_ms: u64, callout: &Callout, response: &ResolveResponse) {
        if response.ttl_ms > 0 {
            let expires_ms = now_ms.saturating_add(response.ttl_ms.into());
            let decision = response.decision.clone();
            self.decisions.insert(
                callout.question.clone(),
                Entry {
                    decision,
                    expires_ms,
                },
            );
        }
    }

    /// Read when first needed: while the plugin starts, not every proxy has its metadata at hand.
    fn source(&mut self, host: &impl Host) -> Option<&Source> {
        if self.source.is_none() {
            self.source = identity::source(host);
        }
        self.source.as_ref()
    }

    fn succeed(&mut self, host: &mut impl Host) {
        let change = self.breaker.succeed();
        self.note(host, change, "");
    }

    fn fail(&mut self, host: &mut impl Host, now_ms: u64, protocol: Protocol, reason: &str) {
        host.add(Metric::CalloutFailures, 1);
        let trouble = Trouble {
            protocol,
            hold_timeouts: 0,
            callout_failures: 1,
        };
        self.counts.add_trouble(trouble, now_ms);
        let change = self.breaker.fail(now_ms);
        self.note(host, change, reason);
    }
}
