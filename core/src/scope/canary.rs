//! Says when an enforced workload of a canary fails, so that its namespace gets its full scope back.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::names::Workload;

/// Fewer calls that failed say nothing of a share.
const LEAST_FAILED: u64 = 10;

/// How much may go wrong with one workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Within which time.
    pub within: Duration,
    /// Held requests and connections whose cluster did not come in time.
    pub hold_timeouts: u64,
    /// Questions of its filters without an answer.
    pub callout_failures: u64,
    /// By how many percent of all calls more may fail by a 5xx than usually do.
    pub error_percent: u8,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            within: Duration::from_mins(5),
            hold_timeouts: 5,
            callout_failures: 20,
            error_percent: 5,
        }
    }
}

/// How calls ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// All of them.
    pub all: u64,
    /// Those with a 5xx.
    pub failed: u64,
}

/// What was seen of a workload within a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Symptoms {
    /// Held requests and connections whose cluster did not come in time.
    pub hold_timeouts: u64,
    /// Questions of its filters without an answer.
    pub callout_failures: u64,
    /// How its calls ended.
    pub calls: Calls,
    /// How they ended before that.
    pub usual: Calls,
}

/// What was too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Symptom {
    /// So many holds timed out.
    HoldTimeouts(u64),
    /// So many questions had no answer.
    CalloutFailures(u64),
    /// So many percent of its calls failed.
    ServerErrors(u8),
}

/// A canary that failed, and was reverted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revert {
    /// Whose symptom it was.
    pub workload: Workload,
    /// What was too much.
    pub symptom: Symptom,
    /// What the namespace's label said then: another number is another try.
    pub percent: u8,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

impl Bounds {
    /// What is too much of what was seen, if anything is.
    #[must_use]
    pub fn exceeded(&self, seen: &Symptoms) -> Option<Symptom> {
        if seen.hold_timeouts > self.hold_timeouts {
            return Some(Symptom::HoldTimeouts(seen.hold_timeouts));
        }
        if seen.callout_failures > self.callout_failures {
            return Some(Symptom::CalloutFailures(seen.callout_failures));
        }
        let percent = seen.calls.failed_percent();
        let rise = percent.saturating_sub(seen.usual.failed_percent());
        let is_told = seen.calls.failed >= LEAST_FAILED;
        (is_told && rise > self.error_percent).then_some(Symptom::ServerErrors(percent))
    }
}

impl Calls {
    fn failed_percent(self) -> u8 {
        let of_hundred = u128::from(self.failed) * 100;
        let percent = of_hundred.checked_div(self.all.into()).unwrap_or_default();
        u8::try_from(percent.min(100)).unwrap_or(100)
    }
}

impl fmt::Display for Symptom {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HoldTimeouts(count) => write!(out, "{count} holds timed out"),
            Self::CalloutFailures(count) => {
                write!(out, "{count} questions to the collector had no answer")
            }
            Self::ServerErrors(percent) => write!(out, "{percent} % of calls ended with a 5xx"),
        }
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.workload, self.symptom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seen: Symptoms, expect: Option<Symptom>) {
        assert_eq!(Bounds::default().exceeded(&seen), expect, "{seen:?}");
    }

    fn calls((failed, all): (u64, u64), (usually, of): (u64, u64)) -> Symptoms {
        Symptoms {
            calls: Calls { all, failed },
            usual: Calls {
                all: of,
                failed: usually,
            },
            ..Symptoms::default()
        }
    }

    #[test]
    fn what_filters_tell_may_be_so_much_and_no_more() {
        check(Symptoms::default(), None);
        let seen = |hold_timeouts, callout_failures| Symptoms {
            hold_timeouts,
            callout_failures,
            ..Symptoms::default()
        };
        check(seen(5, 20), None);
        check(seen(6, 20), Some(Symptom::HoldTimeouts(6)));
        check(seen(5, 21), Some(Symptom::CalloutFailures(21)));
        check(
            seen(u64::MAX, u64::MAX),
            Some(Symptom::HoldTimeouts(u64::MAX)),
        );
    }

    #[test]
    fn calls_may_fail_as_they_usually_do_and_a_little_more() {
        check(calls((0, 0), (0, 0)), None);
        check(calls((50, 1_000), (0, 9)), None);
        check(calls((60, 1_000), (0, 9)), Some(Symptom::ServerErrors(6)));
        check(calls((60, 1_000), (10, 1_000)), None);
        check(calls((600, 1_000), (550, 1_000)), None);
        check(
            calls((610, 1_000), (550, 1_000)),
            Some(Symptom::ServerErrors(61)),
        );
        // Too few to tell.
        check(calls((9, 9), (0, 0)), None);
        check(calls((10, 10), (0, 0)), Some(Symptom::ServerErrors(100)));
        // Counters that lie.
        check(
            calls((u64::MAX, 1), (0, 0)),
            Some(Symptom::ServerErrors(100)),
        );
        check(calls((u64::MAX, u64::MAX), (u64::MAX, u64::MAX)), None);
    }
}
