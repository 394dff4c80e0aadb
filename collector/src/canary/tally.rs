//! Counts what lately went wrong with one workload.
//!
//! In two halves of the time that counts, the last of which is not over: so what it gives is of at least half of that time,
//! and of no more than all of it.

use std::time::{Duration, Instant};

use lazymesh_core::Symptoms;
use lazymesh_protocol::Trouble;

pub(crate) struct Tally {
    since: Instant,
    before: Symptoms,
    now: Symptoms,
}

impl Tally {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            since: now,
            before: Symptoms::default(),
            now: Symptoms::default(),
        }
    }

    /// Counts more; what there is then.
    pub(crate) fn add(&mut self, more: Trouble, within: Duration, now: Instant) -> Symptoms {
        self.turn(within / 2, now);
        let Symptoms {
            hold_timeouts,
            callout_failures,
            ..
        } = &mut self.now;
        *hold_timeouts = hold_timeouts.saturating_add(more.hold_timeouts);
        *callout_failures = callout_failures.saturating_add(more.callout_failures);
        let (before, now) = (self.before, self.now);
        Symptoms {
            hold_timeouts: before.hold_timeouts.saturating_add(now.hold_timeouts),
            callout_failures: before.callout_failures.saturating_add(now.callout_failures),
            ..Symptoms::default()
        }
    }

    /// Whether nothing of it counts any more.
    pub(crate) fn is_over(&self, within: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= within
    }

    fn turn(&mut self, half: Duration, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        if passed >= half * 2 {
            *self = Self::new(now);
        } else if passed >= half {
            self.before = std::mem::take(&mut self.now);
            self.since += half;
        }
    }
}

#[cfg(test)]
mod tests {
    use lazymesh_protocol::Protocol;

    use super::*;

    const WITHIN: Duration = Duration::from_secs(100);

    /// A hold that timed out at each of these seconds: how many count at the last of them.
    #[track_caller]
    fn check(seconds: &[u64], expect: u64) {
        let start = Instant::now();
        let mut tally = Tally::new(start);
        let mut found = 0;
        for second in seconds {
            let trouble = Trouble {
                protocol: Protocol::Http,
                hold_timeouts: 1,
                callout_failures: 0,
            };
            let now = start + Duration::from_secs(*second);
            found = tally.add(trouble, WITHIN, now).hold_timeouts;
        }
        assert_eq!(found, expect, "{seconds:?}");
    }

    #[test]
    fn what_is_old_does_not_count() {
        check(&[0], 1);
        check(&[0, 10, 49], 3);
        check(&[0, 10, 50, 99], 4);
        check(&[0, 60, 110], 2);
        check(&[0, 100], 1);
        check(&[0, 1_000], 1);
    }
}
