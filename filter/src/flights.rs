//! Callouts in flight, and the requests that wait for them: all requests about one host share one callout.
//!
//! A callout belongs to the plugin, not to the request that caused it. Whichever waiters are reset meanwhile, the
//! answer arrives and serves the others.

use crate::catch_all::CatchAll;
use crate::host::{ContextId, Token};
use crate::question::Question;

/// A request that waits, and where it goes when it waits in vain.
pub(crate) type Waiter = (ContextId, CatchAll);

/// A callout, and who waits for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Flight {
    token: Token,
    deadline_ms: u64,
    /// What was asked.
    pub(crate) question: Question,
    /// Who waits for the answer, in the order they came.
    pub(crate) waiters: Vec<Waiter>,
}

/// Every callout in flight of one worker: few enough to look through.
#[derive(Debug, Default)]
pub(crate) struct Flights(Vec<Flight>);

impl Flights {
    /// Has a request wait for the callout about its question, if there is one.
    pub(crate) fn join(&mut self, question: &Question, waiter: Waiter) -> bool {
        let flight = self
            .0
            .iter_mut()
            .find(|flight| flight.question == *question);
        flight.map(|flight| flight.waiters.push(waiter)).is_some()
    }

    /// Notes a callout that has just started.
    pub(crate) fn start(
        &mut self,
        token: Token,
        question: Question,
        deadline_ms: u64,
        first: Waiter,
    ) {
        self.0.push(Flight {
            token,
            deadline_ms,
            question,
            waiters: vec![first],
        });
    }

    /// Ends a callout; `None` when it is unknown, or was given up.
    pub(crate) fn land(&mut self, token: Token) -> Option<Flight> {
        self.land_where(|flight| flight.token == token)
    }

    /// Ends a callout whose deadline has passed, if there is one.
    pub(crate) fn land_overdue(&mut self, now_ms: u64) -> Option<Flight> {
        self.land_where(|flight| flight.deadline_ms <= now_ms)
    }

    /// Ends any callout.
    pub(crate) fn land_any(&mut self) -> Option<Flight> {
        self.0.pop()
    }

    /// Forgets a request that is gone. The callout goes on.
    pub(crate) fn forget(&mut self, context: ContextId) {
        for flight in &mut self.0 {
            flight.waiters.retain(|waiter| waiter.0 != context);
        }
    }

    /// When the first deadline passes, in milliseconds.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        self.0.iter().map(|flight| flight.deadline_ms).min()
    }

    /// Callouts in flight.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Requests that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.0
            .iter()
            .fold(0, |sum, flight| sum.saturating_add(flight.waiters.len()))
    }

    fn land_where(&mut self, ends: impl FnMut(&Flight) -> bool) -> Option<Flight> {
        let index = self.0.iter().position(ends)?;
        Some(self.0.swap_remove(index))
    }
}

#[cfg(test)]
mod tests {
    use lazymesh_protocol::Protocol;

    use super::*;

    fn question(name: &str) -> Question {
        Question {
            authority: Some(name.to_owned()),
            destination: None,
            protocol: Protocol::Http,
        }
    }

    fn waiters(landed: Option<Flight>) -> Option<Vec<ContextId>> {
        landed.map(|landed| landed.waiters.into_iter().map(|waiter| waiter.0).collect())
    }

    fn flights() -> Flights {
        let mut flights = Flights::default();
        flights.start(7, question("a"), 100, (1, CatchAll::AllowAny));
        for context in [2, 3] {
            assert!(flights.join(&question("a"), (context, CatchAll::AllowAny)));
        }
        flights
    }

    #[test]
    fn one_callout_serves_all_who_wait_for_it() {
        let mut flights = flights();
        assert!(!flights.join(&question("b"), (4, CatchAll::AllowAny)));
        assert_eq!((flights.len(), flights.waiting()), (1, 3));
        assert_eq!(waiters(flights.land(7)), Some(vec![1, 2, 3]));
        assert_eq!((flights.len(), flights.waiting()), (0, 0));
        assert_eq!(flights.land(7), None);
        assert!(!flights.join(&question("a"), (5, CatchAll::AllowAny)));
    }

    #[test]
    fn a_lost_leader_loses_nobody_else() {
        let mut flights = flights();
        flights.forget(1);
        flights.forget(1);
        assert_eq!(flights.waiting(), 2);
        assert_eq!(waiters(flights.land(7)), Some(vec![2, 3]));
    }

    #[test]
    fn a_callout_without_waiters_still_brings_its_answer() {
        let mut flights = flights();
        for context in [1, 2, 3] {
            flights.forget(context);
        }
        assert_eq!(waiters(flights.land(7)), Some(vec![]));
    }

    #[test]
    fn deadlines() {
        let mut flights = flights();
        flights.start(8, question("b"), 50, (4, CatchAll::BlockAll));
        assert_eq!(flights.due_ms(), Some(50));
        assert_eq!(flights.land_overdue(49), None);
        assert_eq!(
            flights.land_overdue(50).map(|landed| landed.question),
            Some(question("b"))
        );
        assert_eq!(flights.land_overdue(99), None);
        assert_eq!(waiters(flights.land_overdue(100)), Some(vec![1, 2, 3]));
        assert_eq!(flights.due_ms(), None);
    }
}
