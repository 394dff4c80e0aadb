//! Callouts in flight, and the requests that wait for them: all requests about one host share one callout.
//!
//! A callout belongs to the plugin, not to the request that caused it. Whichever waiters are reset meanwhile, the
//! answer arrives and serves the others.

use crate::flow::Flow;
use crate::host::{ContextId, Token};
use crate::question::Question;

/// A callout, and who waits for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Callout {
    token: Token,
    deadline_ms: u64,
    /// What was asked.
    pub(crate) question: Question,
    /// Who waits for the answer, in the order they came.
    pub(crate) waiters: Vec<Flow>,
}

/// Every callout in flight of one worker: few enough to look through.
#[derive(Debug, Default)]
pub(crate) struct Callouts(Vec<Callout>);

impl Callouts {
    /// Has a request wait for the callout about its question, if there is one.
    pub(crate) fn join(&mut self, question: &Question, waiter: Flow) -> bool {
        let callout = self
            .0
            .iter_mut()
            .find(|callout| callout.question == *question);
        callout
            .map(|callout| callout.waiters.push(waiter))
            .is_some()
    }

    /// Notes a callout that has just started.
    pub(crate) fn start(
        &mut self,
        token: Token,
        question: Question,
        deadline_ms: u64,
        first: Flow,
    ) {
        self.0.push(Callout {
            token,
            deadline_ms,
            question,
            waiters: vec![first],
        });
    }

    /// Ends a callout; `None` when it is unknown, or was given up.
    pub(crate) fn end(&mut self, token: Token) -> Option<Callout> {
        self.take(|callout| callout.token == token)
    }

    /// Ends a callout whose deadline has passed, if there is one.
    pub(crate) fn end_overdue(&mut self, now_ms: u64) -> Option<Callout> {
        self.take(|callout| callout.deadline_ms <= now_ms)
    }

    /// Ends any callout.
    pub(crate) fn end_any(&mut self) -> Option<Callout> {
        self.0.pop()
    }

    /// Forgets a request that is gone. The callout goes on.
    pub(crate) fn forget(&mut self, context: ContextId) {
        for callout in &mut self.0 {
            callout.waiters.retain(|waiter| waiter.context() != context);
        }
    }

    /// Whether this one waits.
    pub(crate) fn has(&self, context: ContextId) -> bool {
        let mut waiters = self.0.iter().flat_map(|callout| &callout.waiters);
        waiters.any(|waiter| waiter.context() == context)
    }

    /// When the first deadline passes, in milliseconds.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        self.0.iter().map(|callout| callout.deadline_ms).min()
    }

    /// Callouts in flight.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Requests that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.0
            .iter()
            .fold(0, |sum, callout| sum.saturating_add(callout.waiters.len()))
    }

    fn take(&mut self, ends: impl FnMut(&Callout) -> bool) -> Option<Callout> {
        let index = self.0.iter().position(ends)?;
        Some(self.0.swap_remove(index))
    }
}

#[cfg(test)]
mod tests {
    use lazymesh_protocol::Protocol;

    use super::*;
    use crate::catch_all::CatchAll;

    fn question(name: &str) -> Question {
        Question {
            authority: Some(name.to_owned()),
            destination: None,
            protocol: Protocol::Http,
        }
    }

    fn flow(context: ContextId) -> Flow {
        Flow::Request(context, CatchAll::AllowAny)
    }

    fn waiters(ended: Option<Callout>) -> Option<Vec<ContextId>> {
        ended.map(|ended| ended.waiters.into_iter().map(Flow::context).collect())
    }

    fn callouts() -> Callouts {
        let mut callouts = Callouts::default();
        callouts.start(7, question("a"), 100, flow(1));
        for context in [2, 3] {
            assert!(callouts.join(&question("a"), flow(context)));
        }
        callouts
    }

    #[test]
    fn one_callout_serves_all_who_wait_for_it() {
        let mut callouts = callouts();
        assert!(!callouts.join(&question("b"), flow(4)));
        assert_eq!((callouts.len(), callouts.waiting()), (1, 3));
        assert_eq!(waiters(callouts.end(7)), Some(vec![1, 2, 3]));
        assert_eq!((callouts.len(), callouts.waiting()), (0, 0));
        assert_eq!(callouts.end(7), None);
        assert!(!callouts.join(&question("a"), flow(5)));
    }

    #[test]
    fn a_lost_leader_loses_nobody_else() {
        let mut callouts = callouts();
        callouts.forget(1);
        callouts.forget(1);
        assert_eq!(callouts.waiting(), 2);
        assert_eq!(waiters(callouts.end(7)), Some(vec![2, 3]));
    }

    #[test]
    fn a_callout_without_waiters_still_brings_its_answer() {
        let mut callouts = callouts();
        for context in [1, 2, 3] {
            callouts.forget(context);
        }
        assert_eq!(waiters(callouts.end(7)), Some(vec![]));
    }

    #[test]
    fn deadlines() {
        let mut callouts = callouts();
        callouts.start(8, question("b"), 50, flow(4));
        assert_eq!(callouts.due_ms(), Some(50));
        assert_eq!(callouts.end_overdue(49), None);
        assert_eq!(
            callouts.end_overdue(50).map(|ended| ended.question),
            Some(question("b"))
        );
        assert_eq!(callouts.end_overdue(99), None);
        assert_eq!(waiters(callouts.end_overdue(100)), Some(vec![1, 2, 3]));
        assert_eq!(callouts.due_ms(), None);
    }
}
