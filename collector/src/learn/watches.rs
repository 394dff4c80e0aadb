//! Counts for how long each workload was watched by what sees calls that no filter meets.
//!
//! A source that tells of calls is there; one that tells of nothing may be down, misled or far away. So it has watched from one
//! call that it tells of to the next, where that comes soon.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use lazymesh_core::Workload;
use parking_lot::Mutex;

/// Longest time from one call to the next in which a source counts as there.
const PAUSE: Duration = Duration::from_mins(5);

/// How long workloads were watched.
#[derive(Default)]
pub(crate) struct Watches {
    workloads: Mutex<HashMap<Workload, Watch>>,
}

struct Watch {
    heard: Instant,
    watched: Duration,
}

impl Watches {
    /// A source tells of a call.
    pub(crate) fn heard(&self, workload: &Workload, now: Instant) {
        let mut workloads = self.workloads.lock();
        match workloads.get_mut(workload) {
            Some(watch) => watch.hear(now),
            None => {
                let watch = Watch {
                    heard: now,
                    watched: Duration::ZERO,
                };
                workloads.insert(workload.clone(), watch);
            }
        }
    }

    /// For how long each was watched since this was last asked.
    pub(crate) fn take(&self, now: Instant) -> Vec<(Workload, Duration)> {
        let mut workloads = self.workloads.lock();
        let watched = workloads.iter_mut().filter_map(|(workload, watch)| {
            let watched = std::mem::take(&mut watch.watched);
            (!watched.is_zero()).then(|| (workload.clone(), watched))
        });
        let watched = watched.collect();
        workloads.retain(|_, watch| now.saturating_duration_since(watch.heard) <= PAUSE);
        watched
    }
}

impl Watch {
    fn hear(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.heard);
        if since <= PAUSE {
            self.watched += since;
        }
        self.heard = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source that tells of a call at each of these seconds: for how many it has watched at the end.
    #[track_caller]
    fn check(heard: &[u64], expect: u64) {
        let (watches, start) = (Watches::default(), Instant::now());
        let web = Workload::new("shop", "web").expect("a name");
        let at = |second| start + Duration::from_secs(second);
        for second in heard {
            watches.heard(&web, at(*second));
        }
        let taken = watches.take(at(heard.last().copied().unwrap_or_default()));
        let found: u64 = taken.iter().map(|(_, watched)| watched.as_secs()).sum();
        assert_eq!(found, expect, "{heard:?}");
    }

    #[test]
    fn who_tells_is_there_and_who_is_silent_may_not_be() {
        check(&[], 0);
        check(&[10], 0);
        check(&[10, 20, 90], 80);
        check(&[0, 300], 300);
        check(&[0, 301], 0);
        check(&[0, 60, 4_000, 4_060], 120);
    }

    #[test]
    fn what_was_taken_is_not_counted_again() {
        let (watches, start) = (Watches::default(), Instant::now());
        let web = Workload::new("shop", "web").expect("a name");
        let at = |second| start + Duration::from_secs(second);
        watches.heard(&web, at(0));
        watches.heard(&web, at(60));
        assert_eq!(watches.take(at(70)).len(), 1);
        assert_eq!(watches.take(at(80)).len(), 0);
        watches.heard(&web, at(100));
        assert_eq!(
            watches.take(at(100)),
            [(web.clone(), Duration::from_secs(40))]
        );
        assert_eq!(watches.take(at(900)).len(), 0);
        watches.heard(&web, at(1_000));
        assert_eq!(watches.take(at(1_000)).len(), 0, "it was away");
    }
}
