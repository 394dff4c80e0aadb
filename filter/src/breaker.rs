//! The circuit breaker: when the collector is down, slow or wrong, requests stop waiting for it.

use crate::random::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Callouts pass.
    Closed { failures: u32 },
    /// None passes until then.
    Open { until_ms: u64 },
    /// One is under way, and decides.
    HalfOpen,
}

/// What a callout's end did to the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It was closed, and no longer is.
    Opened,
    /// It was not closed, and is again.
    Closed,
    /// Neither.
    None,
}

/// Opens after some failures in a row; then lets single callouts through, further and further apart.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: State,
    max_failures: u32,
    first_backoff_ms: u64,
    max_backoff_ms: u64,
    backoff_ms: u64,
    random: Random,
}

impl Breaker {
    /// A closed breaker that opens after `max_failures`, at least one; `seed` makes its back-off its own.
    pub(crate) fn new(
        max_failures: u32,
        first_backoff_ms: u32,
        max_backoff_ms: u32,
        seed: u64,
    ) -> Self {
        let first_backoff_ms = u64::from(first_backoff_ms.max(1));
        Self {
            state: State::Closed { failures: 0 },
            max_failures: max_failures.max(1),
            first_backoff_ms,
            max_backoff_ms: u64::from(max_backoff_ms).max(first_backoff_ms),
            backoff_ms: first_backoff_ms,
            random: Random::new(seed),
        }
    }

    /// Whether a callout may start now. Its end must be told, whichever it is.
    pub(crate) fn admit(&mut self, now_ms: u64) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { until_ms } if until_ms <= now_ms => {
                self.state = State::HalfOpen;
                true
            }
            State::Open { .. } | State::HalfOpen => false,
        }
    }

    /// A callout was answered.
    pub(crate) fn succeed(&mut self) -> Change {
        let change = if self.is_closed() {
            Change::None
        } else {
            Change::Closed
        };
        self.state = State::Closed { failures: 0 };
        self.backoff_ms = self.first_backoff_ms;
        change
    }

    /// A callout failed.
    pub(crate) fn fail(&mut self, now_ms: u64) -> Change {
        match self.state {
            State::Closed { failures } => {
                let failures = failures.saturating_add(1);
                if failures < self.max_failures {
                    self.state = State::Closed { failures };
                    return Change::None;
                }
                self.open(now_ms);
                Change::Opened
            }
            State::HalfOpen => {
                self.backoff_ms = self.backoff_ms.saturating_mul(2).min(self.max_backoff_ms);
                self.open(now_ms);
                Change::None
            }
            // A callout from before it opened.
            State::Open { .. } => Change::None,
        }
    }

    /// Whether callouts pass freely.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// Half of the back-off is fixed, half of it random: apart from each other, and never at once.
    fn open(&mut self, now_ms: u64) {
        let fixed = self.backoff_ms.div_ceil(2);
        let random = self
            .random
            .below(self.backoff_ms.saturating_sub(fixed).saturating_add(1));
        self.state = State::Open {
            until_ms: now_ms.saturating_add(fixed).saturating_add(random),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker(seed: u64) -> Breaker {
        Breaker::new(3, 1_000, 4_000, seed)
    }

    /// Milliseconds until the breaker lets the next callout through.
    fn wait(breaker: &mut Breaker, since_ms: u64) -> u64 {
        (0..).find(|after| breaker.admit(since_ms + after)).unwrap()
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let mut breaker = breaker(1);
        for _ in 0..5 {
            assert_eq!(breaker.fail(0), Change::None);
            assert_eq!(breaker.fail(0), Change::None);
            assert_eq!(breaker.succeed(), Change::None);
        }
        breaker.fail(0);
        breaker.fail(0);
        assert_eq!(breaker.fail(0), Change::Opened);
        assert!(!breaker.admit(0));
        assert_eq!(
            breaker.fail(0),
            Change::None,
            "a late failure of an earlier callout"
        );
    }

    #[test]
    fn half_open_lets_one_through_and_doubles_up_to_the_maximum() {
        let mut breaker = breaker(1);
        let mut now = 0;
        for _ in 0..3 {
            breaker.fail(now);
        }
        for longest in [1_000, 2_000, 4_000, 4_000] {
            let waited = wait(&mut breaker, now);
            assert!(
                (longest / 2..=longest).contains(&waited),
                "{waited} of {longest}"
            );
            now += waited;
            assert!(!breaker.admit(now), "only one at a time");
            assert_eq!(breaker.fail(now), Change::None);
        }
        now += wait(&mut breaker, now);
        assert_eq!(breaker.succeed(), Change::Closed);
        assert!(breaker.admit(now) && breaker.admit(now));
        for _ in 0..3 {
            breaker.fail(now);
        }
        assert!(wait(&mut breaker, now) <= 1_000, "back-off starts anew");
    }

    #[test]
    fn sidecars_do_not_retry_in_step() {
        let waits: std::collections::BTreeSet<u64> = (0..20)
            .map(|seed| {
                let mut breaker = breaker(seed);
                for _ in 0..3 {
                    breaker.fail(0);
                }
                wait(&mut breaker, 0)
            })
            .collect();
        assert!(waits.len() > 10, "{waits:?}");
    }

    #[test]
    fn absurd_configurations_still_work() {
        let mut breaker = Breaker::new(0, 0, 0, 0);
        assert_eq!(breaker.fail(u64::MAX), Change::Opened);
        let mut breaker = Breaker::new(1, u32::MAX, 1, 7);
        breaker.fail(u64::MAX - 1);
        assert!(breaker.admit(u64::MAX));
    }
}
