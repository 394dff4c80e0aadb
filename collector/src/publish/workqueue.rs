//! Queues what is to be reconciled: the first change at once, further ones at most once a second, sooner and before all
//! others where a request is held for them, failures later and later.
//!
//! istiod answers every change of a Sidecar with a push, so a workload that learns twenty hosts while it
//! starts must not cost twenty pushes. No clock in here: the time is an argument.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff};
use lazymesh_core::Subject;

use crate::runtime::retry;

/// Shortest time between two changes of one Sidecar.
const PACE: Duration = Duration::from_secs(1);
/// The same where a held request waits for the change. istiod gathers changes for as long (`PILOT_DEBOUNCE_AFTER`), so
/// going faster would gain nothing.
const HELD_PACE: Duration = Duration::from_millis(100);

/// What is to be reconciled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    /// The list of all Sidecars of ours, in which those are found that nothing wants.
    List,
    /// Those of them that are in one namespace.
    Orphans(String),
    /// The Sidecar of a subject.
    Sidecar(Subject),
}

impl Key {
    /// The namespace in which work on it happens: one thing at a time in each. The list is in none.
    pub(crate) fn namespace(&self) -> &str {
        match self {
            Self::List => "",
            Self::Orphans(namespace) => namespace,
            Self::Sidecar(subject) => subject.namespace(),
        }
    }
}

impl From<Subject> for Key {
    fn from(subject: Subject) -> Self {
        Self::Sidecar(subject)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List => out.write_str("list of Sidecars"),
            Self::Orphans(namespace) => write!(out, "orphans of {namespace}"),
            Self::Sidecar(subject) => subject.fmt(out),
        }
    }
}

/// Keys and the times at which they are due.
#[derive(Default)]
pub(crate) struct Workqueue {
    queue: Queue,
    /// Those that held requests wait for. They do not wait for what a change of the whole mesh queued.
    urgent: Queue,
    due: HashMap<Key, Instant>,
    changed: HashMap<Key, Instant>,
    failing: HashMap<Key, ExponentialBackoff>,
}

impl Workqueue {
    /// Queues a key: now, or when its pace allows. That does not cut short the wait after a failure.
    pub(crate) fn add(&mut self, key: Key, now: Instant) {
        let due = self.earliest(&key, PACE, now);
        self.add_at(key, due);
    }

    /// As [`Workqueue::add`], for a change that a held request waits for.
    pub(crate) fn add_urgent(&mut self, key: Key, now: Instant) {
        let due = self.earliest(&key, HELD_PACE, now);
        self.add_at(key.clone(), due);
        // What failed keeps its time.
        if let Some(&due) = self.due.get(&key)
            && self.queue.remove(due, &key)
        {
            self.urgent.insert(due, key);
        }
    }

    /// As [`Workqueue::add`], for a time of the caller's choice; the earliest that was asked for counts.
    pub(crate) fn add_at(&mut self, key: Key, due: Instant) {
        match self.due.get(&key) {
            Some(&planned) if planned <= due || self.failing.contains_key(&key) => return,
            Some(&planned) => self.remove(planned, &key),
            None => {}
        }
        self.put(key, due);
    }

    fn earliest(&self, key: &Key, pace: Duration, now: Instant) -> Instant {
        let last = self.changed.get(key);
        last.map_or(now, |last| now.max(*last + pace))
    }

    fn put(&mut self, key: Key, due: Instant) {
        self.due.insert(key.clone(), due);
        self.queue.insert(due, key);
    }

    fn remove(&mut self, due: Instant, key: &Key) {
        let _ = self.queue.remove(due, key) || self.urgent.remove(due, key);
    }

    /// When the next key is due, apart from those in namespaces where something is being done.
    pub(crate) fn next(&self, busy: &HashSet<String>) -> Option<Instant> {
        let first = [&self.urgent, &self.queue].map(|queue| queue.first(busy));
        first.into_iter().flatten().map(|(due, _)| *due).min()
    }

    /// Takes the next key that is due, apart from those in namespaces where something is being done.
    pub(crate) fn take(&mut self, now: Instant, busy: &HashSet<String>) -> Option<Key> {
        let is_due = |(due, _): &&(Instant, Key)| *due <= now;
        let urgent = self.urgent.first(busy).filter(is_due);
        let (due, key) = urgent
            .or_else(|| self.queue.first(busy).filter(is_due))?
            .clone();
        self.remove(due, &key);
        self.due.remove(&key);
        Some(key)
    }

    /// A key was reconciled; `changed` when that changed its Sidecar.
    pub(crate) fn done(&mut self, key: &Key, changed: bool, now: Instant) {
        self.failing.remove(key);
        if changed {
            self.changed.retain(|_, last| now < *last + PACE);
            self.changed.insert(key.clone(), now);
        }
    }

    /// A key failed and is tried again later; returns in how long.
    pub(crate) fn failed(&mut self, key: Key, now: Instant) -> Duration {
        let backoff = self
            .failing
            .entry(key.clone())
            .or_insert_with(|| retry::retries().build());
        let wait = backoff.next().unwrap_or(retry::LONGEST);
        if let Some(due) = self.due.remove(&key) {
            self.remove(due, &key);
        }
        self.put(key, now + wait);
        wait
    }

    /// Keys that wait for their time.
    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }

    /// Keys whose last attempt failed.
    pub(crate) fn failing(&self) -> usize {
        self.failing.len()
    }
}

/// Keys by their times. What is first in a busy namespace is passed over with all that is behind it.
#[derive(Default)]
struct Queue {
    namespaces: HashMap<String, BTreeSet<(Instant, Key)>>,
    /// The first of each namespace.
    firsts: BTreeSet<(Instant, Key)>,
}

impl Queue {
    fn insert(&mut self, due: Instant, key: Key) {
        let namespace = key.namespace().to_owned();
        self.edit(namespace, |keys| keys.insert((due, key)));
    }

    /// Whether it was there.
    fn remove(&mut self, due: Instant, key: &Key) -> bool {
        let namespace = key.namespace().to_owned();
        self.edit(namespace, |keys| keys.remove(&(due, key.clone())))
    }

    fn edit(
        &mut self,
        namespace: String,
        edit: impl FnOnce(&mut BTreeSet<(Instant, Key)>) -> bool,
    ) -> bool {
        let mut keys = self.namespaces.remove(&namespace).unwrap_or_default();
        if let Some(first) = keys.first() {
            self.firsts.remove(first);
        }
        let edited = edit(&mut keys);
        if let Some(first) = keys.first() {
            self.firsts.insert(first.clone());
            self.namespaces.insert(namespace, keys);
        }
        edited
    }

    fn first(&self, busy: &HashSet<String>) -> Option<&(Instant, Key)> {
        let mut firsts = self.firsts.iter();
        firsts.find(|(_, key)| !busy.contains(key.namespace()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn key(namespace: &str) -> Key {
        Subject::Namespace(namespace.to_owned()).into()
    }

    fn start() -> (Workqueue, Instant) {
        (Workqueue::default(), Instant::now())
    }

    fn take(queue: &mut Workqueue, now: Instant) -> Option<Key> {
        queue.take(now, &HashSet::new())
    }

    fn next(queue: &Workqueue) -> Option<Instant> {
        queue.next(&HashSet::new())
    }

    #[test]
    fn the_first_change_goes_at_once_and_the_next_a_second_later() {
        let (mut queue, start) = start();
        queue.add(key("a"), start);
        assert_eq!(take(&mut queue, start), Some(key("a")));
        queue.done(&key("a"), true, start);

        queue.add(key("a"), start + 10 * MS);
        queue.add(key("a"), start + 20 * MS);
        assert_eq!(queue.len(), 1);
        assert_eq!(take(&mut queue, start + 999 * MS), None);
        assert_eq!(next(&queue), Some(start + PACE));
        assert_eq!(take(&mut queue, start + PACE), Some(key("a")));
        assert_eq!(take(&mut queue, start + PACE), None);
    }

    #[test]
    fn what_a_request_is_held_for_goes_sooner() {
        let (mut queue, start) = start();
        queue.done(&key("a"), true, start);
        queue.add(key("a"), start);
        assert_eq!(next(&queue), Some(start + PACE));
        queue.add_urgent(key("a"), start);
        assert_eq!((queue.len(), next(&queue)), (1, Some(start + HELD_PACE)));

        // Nor does it wait for what was there before.
        queue.add_at(key("c"), start - HELD_PACE);
        queue.add(key("d"), start - HELD_PACE);
        queue.add_urgent(key("d"), start);
        assert_eq!(take(&mut queue, start), Some(key("d")));
        assert_eq!(take(&mut queue, start), Some(key("c")));

        queue.failed(key("b"), start);
        queue.add_urgent(key("b"), start);
        assert_eq!(take(&mut queue, start + HELD_PACE), Some(key("a")));
        assert_eq!(take(&mut queue, start + HELD_PACE), None);
    }

    #[test]
    fn what_is_in_a_busy_namespace_waits_and_keeps_nobody_waiting() {
        let (mut queue, start) = start();
        let busy = HashSet::from(["a".to_owned()]);
        queue.add_urgent(key("a"), start);
        queue.add(Key::Orphans("a".to_owned()), start);
        assert_eq!(queue.take(start, &busy), None);
        assert_eq!(queue.next(&busy), None);
        queue.add(key("b"), start + MS);
        assert_eq!(queue.next(&busy), Some(start + MS));
        assert_eq!(queue.take(start + MS, &busy), Some(key("b")));
        assert_eq!(take(&mut queue, start), Some(key("a")));
    }

    #[test]
    fn what_changed_nothing_does_not_count() {
        let (mut queue, start) = start();
        queue.add(key("a"), start);
        take(&mut queue, start);
        queue.done(&key("a"), false, start);
        queue.add(key("a"), start);
        assert_eq!(take(&mut queue, start), Some(key("a")));
    }

    #[test]
    fn one_key_never_waits_for_another() {
        let (mut queue, start) = start();
        queue.done(&key("a"), true, start);
        queue.add(key("a"), start);
        queue.add(key("b"), start);
        assert_eq!(take(&mut queue, start), Some(key("b")));
    }

    #[test]
    fn failures_wait_longer_and_longer_until_one_succeeds() {
        let (mut queue, start) = start();
        let first = queue.failed(key("a"), start);
        assert!(first >= retry::FIRST && first <= 2 * retry::FIRST);
        // A change in the meantime does not cut the wait short.
        queue.add(key("a"), start);
        assert_eq!(take(&mut queue, start), None);
        let mut last = first;
        for _ in 0..20 {
            last = queue.failed(key("a"), start);
        }
        assert!(last >= retry::LONGEST && last <= 2 * retry::LONGEST);
        assert_eq!((queue.len(), queue.failing()), (1, 1));
        assert_eq!(take(&mut queue, start + last), Some(key("a")));
        queue.done(&key("a"), true, start + last);
        assert_eq!((queue.len(), queue.failing()), (0, 0));
    }
}
