//! When to publish what: the first change at once, further ones at most once a second, sooner and before all others
//! where a request is held for them, failures later and later.
//!
//! istiod answers every change of a Sidecar with a push, so a workload that learns twenty hosts while it
//! starts must not cost twenty pushes. No clock in here: the time is an argument.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use lazymesh_core::{Subject, Workload};

/// Shortest time between two changes of one Sidecar.
const PACE: Duration = Duration::from_secs(1);
/// The same where a held request waits for the change. istiod gathers changes for as long (`PILOT_DEBOUNCE_AFTER`), so
/// going faster would gain nothing.
const HELD_PACE: Duration = Duration::from_millis(100);
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// What one Sidecar is for, or the Sidecars that are for nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Target {
    /// Sidecars that are in place and that nothing wants.
    Orphans,
    /// Every workload of a namespace that has no Sidecar of its own.
    Namespace(String),
    /// One workload.
    Workload(Workload),
}

impl From<Subject> for Target {
    fn from(subject: Subject) -> Self {
        match subject {
            Subject::Namespace(namespace) => Self::Namespace(namespace),
            Subject::Workload(workload) => Self::Workload(workload),
        }
    }
}

impl Target {
    /// The namespace that it is about.
    pub(crate) fn namespace(&self) -> Option<&str> {
        match self {
            Self::Orphans => None,
            Self::Namespace(namespace) => Some(namespace),
            Self::Workload(workload) => Some(&workload.namespace),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Orphans => out.write_str("orphans"),
            Self::Namespace(namespace) => out.write_str(namespace),
            Self::Workload(workload) => workload.fmt(out),
        }
    }
}

/// Targets and the times at which they are due.
#[derive(Default)]
pub(crate) struct Agenda {
    queue: BTreeSet<(Instant, Target)>,
    /// Those that held requests wait for. They do not wait for what a change of the whole mesh put on the agenda.
    urgent: BTreeSet<(Instant, Target)>,
    due: HashMap<Target, Instant>,
    changed: HashMap<Target, Instant>,
    failing: HashMap<Target, ExponentialBackoff>,
}

impl Agenda {
    /// Puts a target on the agenda: now, or when its pace allows. That does not cut short the wait after a failure.
    pub(crate) fn add(&mut self, target: Target, now: Instant) {
        let due = self.earliest(&target, PACE, now);
        self.add_at(target, due);
    }

    /// As [`Agenda::add`], for a change that a held request waits for.
    pub(crate) fn hurry(&mut self, target: Target, now: Instant) {
        let due = self.earliest(&target, HELD_PACE, now);
        self.add_at(target.clone(), due);
        // What failed keeps its time.
        if let Some(&due) = self.due.get(&target)
            && self.queue.remove(&(due, target.clone()))
        {
            self.urgent.insert((due, target));
        }
    }

    /// As [`Agenda::add`], for a time of the caller's choice; the earliest that was asked for counts.
    pub(crate) fn add_at(&mut self, target: Target, due: Instant) {
        match self.due.get(&target) {
            Some(&planned) if planned <= due || self.failing.contains_key(&target) => return,
            Some(&planned) => self.remove(planned, &target),
            None => {}
        }
        self.put(target, due);
    }

    fn earliest(&self, target: &Target, pace: Duration, now: Instant) -> Instant {
        let last = self.changed.get(target);
        last.map_or(now, |last| now.max(*last + pace))
    }

    fn put(&mut self, target: Target, due: Instant) {
        self.due.insert(target.clone(), due);
        self.queue.insert((due, target));
    }

    fn remove(&mut self, due: Instant, target: &Target) {
        let entry = (due, target.clone());
        let _ = self.queue.remove(&entry) || self.urgent.remove(&entry);
    }

    /// When the next target is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        let first = [&self.urgent, &self.queue].map(|queue| queue.first());
        first.into_iter().flatten().map(|(due, _)| *due).min()
    }

    /// Takes the next target that is due.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Target> {
        let mut queues = [&mut self.urgent, &mut self.queue].into_iter();
        let queue = queues.find(|queue| queue.first().is_some_and(|(due, _)| *due <= now))?;
        let (_, target) = queue.pop_first()?;
        self.due.remove(&target);
        Some(target)
    }

    /// Takes the next workload that is due and that a held request waits for.
    pub(crate) fn take_urgent(&mut self, now: Instant) -> Option<Workload> {
        let mut due = self.urgent.iter().take_while(|(due, _)| *due <= now);
        let (due, workload) = due.find_map(|(due, target)| match target {
            Target::Workload(workload) => Some((*due, workload.clone())),
            Target::Orphans | Target::Namespace(_) => None,
        })?;
        let target = Target::Workload(workload.clone());
        self.remove(due, &target);
        self.due.remove(&target);
        Some(workload)
    }

    /// The target was handled; `changed` when that changed its Sidecar.
    pub(crate) fn done(&mut self, target: &Target, changed: bool, now: Instant) {
        self.failing.remove(target);
        if changed {
            self.changed.retain(|_, last| now < *last + PACE);
            self.changed.insert(target.clone(), now);
        }
    }

    /// The target failed and is tried again later; returns in how long.
    pub(crate) fn failed(&mut self, target: Target, now: Instant) -> Duration {
        let backoff = self
            .failing
            .entry(target.clone())
            .or_insert_with(|| retries().build());
        let wait = backoff.next().unwrap_or(LONGEST_RETRY);
        if let Some(due) = self.due.remove(&target) {
            self.remove(due, &target);
        }
        self.put(target, now + wait);
        wait
    }

    /// Targets that wait for their time.
    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }

    /// Targets whose last attempt failed.
    pub(crate) fn failing(&self) -> usize {
        self.failing.len()
    }
}

/// How often to try again: later and later, for ever.
pub(crate) fn retries() -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_RETRY)
        .with_max_delay(LONGEST_RETRY)
        .without_max_times()
        .with_jitter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str) -> Target {
        Target::Namespace(name.to_owned())
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_change_goes_at_once_and_the_next_a_second_later() {
        let (mut agenda, start) = (Agenda::default(), Instant::now());
        agenda.add(target("a"), start);
        assert_eq!(agenda.take(start), Some(target("a")));
        agenda.done(&target("a"), true, start);

        agenda.add(target("a"), start + 10 * MS);
        agenda.add(target("a"), start + 20 * MS);
        assert_eq!(agenda.len(), 1);
        assert_eq!(agenda.take(start + 999 * MS), None);
        assert_eq!(agenda.next(), Some(start + PACE));
        assert_eq!(agenda.take(start + PACE), Some(target("a")));
        assert_eq!(agenda.take(start + PACE), None);
    }

    #[test]
    fn what_a_request_is_held_for_goes_sooner() {
        let (mut agenda, start) = (Agenda::default(), Instant::now());
        agenda.done(&target("a"), true, start);
        agenda.add(target("a"), start);
        assert_eq!(agenda.next(), Some(start + PACE));
        agenda.hurry(target("a"), start);
        assert_eq!((agenda.len(), agenda.next()), (1, Some(start + HELD_PACE)));

        // Nor does it wait for what was there before.
        agenda.add_at(target("c"), start - HELD_PACE);
        agenda.add(target("d"), start - HELD_PACE);
        agenda.hurry(target("d"), start);
        let workload = Workload::new("shop", "web").unwrap();
        agenda.hurry(Target::Workload(workload.clone()), start);
        assert_eq!(agenda.take_urgent(start), Some(workload));
        assert_eq!(agenda.take_urgent(start), None);
        assert_eq!(agenda.take(start), Some(target("d")));
        assert_eq!(agenda.take(start), Some(target("c")));

        agenda.failed(target("b"), start);
        agenda.hurry(target("b"), start);
        assert_eq!(agenda.take(start + HELD_PACE), Some(target("a")));
        assert_eq!(agenda.take(start + HELD_PACE), None);
    }

    #[test]
    fn what_changed_nothing_does_not_count() {
        let (mut agenda, start) = (Agenda::default(), Instant::now());
        agenda.add(target("a"), start);
        agenda.take(start);
        agenda.done(&target("a"), false, start);
        agenda.add(target("a"), start);
        assert_eq!(agenda.take(start), Some(target("a")));
    }

    #[test]
    fn one_target_never_waits_for_another() {
        let (mut agenda, start) = (Agenda::default(), Instant::now());
        agenda.done(&target("a"), true, start);
        agenda.add(target("a"), start);
        agenda.add(target("b"), start);
        assert_eq!(agenda.take(start), Some(target("b")));
    }

    #[test]
    fn failures_wait_longer_and_longer_until_one_succeeds() {
        let (mut agenda, start) = (Agenda::default(), Instant::now());
        let first = agenda.failed(target("a"), start);
        assert!(first >= FIRST_RETRY && first <= 2 * FIRST_RETRY);
        // A change in the meantime does not cut the wait short.
        agenda.add(target("a"), start);
        assert_eq!(agenda.take(start), None);
        let mut last = first;
        for _ in 0..20 {
            last = agenda.failed(target("a"), start);
        }
        assert!(last >= LONGEST_RETRY && last <= 2 * LONGEST_RETRY);
        assert_eq!((agenda.len(), agenda.failing()), (1, 1));
        assert_eq!(agenda.take(start + last), Some(target("a")));
        agenda.done(&target("a"), true, start + last);
        assert_eq!((agenda.len(), agenda.failing()), (0, 0));
    }
}
