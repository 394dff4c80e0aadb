//! Slows who sends much: says how long a stream has to wait before it is read again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use lazymesh_core::Workload;
use parking_lot::Mutex;

/// Entries a second that a workload may go on with, all its pods and streams together.
const OF_A_WORKLOAD: u32 = 20_000;
/// The same of a namespace: who owns one can name any number of workloads.
const OF_A_NAMESPACE: u32 = 50_000;
/// How far ahead of its pace each may be before it waits.
const AHEAD: Duration = Duration::from_secs(1);
/// From how many on those who are not ahead are forgotten.
const MANY: usize = 4_096;

/// Until when what each has sent would have taken at its pace.
#[derive(Default)]
pub(crate) struct Pace {
    until: Mutex<HashMap<Key, Instant>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Namespace(String),
    Workload(Workload),
}

impl Pace {
    /// Counts entries of a workload; how long to wait before it may send more.
    pub(crate) fn wait(&self, source: &Workload, entries: u32, now: Instant) -> Duration {
        let mut until = self.until.lock();
        if until.len() >= MANY {
            until.retain(|_, until| *until > now);
        }
        let namespace = Key::Namespace(source.namespace.clone());
        let workload = Key::Workload(source.clone());
        let paces = [(namespace, OF_A_NAMESPACE), (workload, OF_A_WORKLOAD)];
        let waits = paces.map(|(key, rate)| {
            let until = until.entry(key).or_insert(now);
            *until = (*until).max(now) + Duration::from_secs(1) * entries / rate;
            until.saturating_duration_since(now + AHEAD)
        });
        waits.into_iter().max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(namespace: &str, name: &str) -> Workload {
        Workload {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn who_sends_much_waits_and_others_do_not() {
        let (pace, now) = (Pace::default(), Instant::now());
        let wait = |source: &str, entries, after_ms| {
            let source = workload("shop", source);
            let wait = pace.wait(&source, entries, now + Duration::from_millis(after_ms));
            u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
        };
        assert_eq!(wait("a", OF_A_WORKLOAD, 0), 0);
        assert_eq!(wait("a", OF_A_WORKLOAD, 0), 1_000);
        assert_eq!(wait("b", 100, 0), 0);
        // Time passes for all; what a second brings is one second's entries.
        assert_eq!(wait("a", OF_A_WORKLOAD, 2_000), 0);
        assert_eq!(wait("a", OF_A_WORKLOAD, 3_000), 0);
        assert_eq!(wait("a", OF_A_WORKLOAD, 3_000), 1_000);
    }

    #[test]
    fn a_namespace_has_a_pace_of_its_own() {
        let (pace, now) = (Pace::default(), Instant::now());
        let waits = (0..20).map(|n| {
            let source = workload("shop", &n.to_string());
            pace.wait(&source, OF_A_NAMESPACE / 10, now)
        });
        let waits: Vec<_> = waits.collect();
        assert!(waits[..10].iter().all(Duration::is_zero), "{waits:?}");
        assert_eq!(waits[19], Duration::from_secs(1));
        assert!(pace.wait(&workload("bank", "a"), 1, now).is_zero());
    }

    #[test]
    fn who_is_not_ahead_is_forgotten() {
        let (pace, now) = (Pace::default(), Instant::now());
        for n in 0..MANY {
            pace.wait(&workload(&n.to_string(), "a"), 1, now);
        }
        pace.wait(&workload("late", "a"), 1, now + Duration::from_secs(1));
        assert_eq!(pace.until.lock().len(), 2);
    }
}
