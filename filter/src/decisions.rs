//! Decisions with their time to live, bounded in number and in bytes.

use lazymesh_protocol::Decision;

use crate::question::Question;

/// Most bytes that the decisions may take in shared data. What a worker needs to read, merge and write it is a small
/// multiple of this, and must stay far below the module's memory.
const MAX_BYTES: usize = 512 * 1024;
/// Bytes that an entry takes beside its texts, rounded up.
const ENTRY_BYTES: usize = 64;

/// An expired decision is kept so much longer, in milliseconds, for when the collector does not answer.
const STALE_MS: u64 = 600_000;

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// What to do.
    pub(crate) decision: Decision,
    /// When it stops to hold, in milliseconds of the monotonic clock, which all workers share.
    pub(crate) expires_ms: u64,
}

/// Decisions by question, in the order of these: less for V8 to compile than a `BTreeMap`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decisions {
    entries: Vec<(Question, Entry)>,
    bytes: usize,
}

impl Decisions {
    /// The decision for a question, if there is one that still holds.
    pub(crate) fn get(&self, question: &Question, now_ms: u64) -> Option<&Decision> {
        let entry = self.entry(question)?;
        (entry.expires_ms > now_ms).then_some(&entry.decision)
    }

    /// The decision for a question, even if it has expired: better than none while the collector does not answer.
    /// Not a hold: a cluster that has not come by now will not come without the collector.
    pub(crate) fn stale(&self, question: &Question) -> Option<&Decision> {
        let decision = &self.entry(question)?.decision;
        (!matches!(decision, Decision::Hold { .. })).then_some(decision)
    }

    /// Adds a decision; what expires first makes room when there are more than `max_entries` or too many bytes.
    pub(crate) fn insert(&mut self, question: Question, entry: Entry, max_entries: usize) {
        let place = match self.place(&question) {
            Ok(found) => {
                self.remove(found);
                found
            }
            Err(place) => place,
        };
        self.bytes = self.bytes.saturating_add(cost(&question, &entry));
        self.entries.insert(place, (question, entry));
        while self.entries.len() > max_entries || self.bytes > MAX_BYTES {
            let Some(first) = self.first_to_expire() else {
                return;
            };
            self.remove(first);
        }
    }

    /// Adds all of these.
    pub(crate) fn merge(&mut self, other: Decisions, max_entries: usize) {
        for (question, entry) in other.entries {
            self.insert(question, entry, max_entries);
        }
    }

    /// Drops what expired long ago.
    pub(crate) fn expire(&mut self, now_ms: u64) {
        self.entries
            .retain(|(_, entry)| entry.expires_ms.saturating_add(STALE_MS) > now_ms);
        self.bytes = self.iter().fold(0, |sum, (question, entry)| {
            sum.saturating_add(cost(question, entry))
        });
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All of them, in the order of their questions.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&Question, &Entry)> {
        self.entries
            .iter()
            .map(|(question, entry)| (question, entry))
    }

    fn entry(&self, question: &Question) -> Option<&Entry> {
        let found = self.place(question).ok()?;
        self.entries.get(found).map(|(_, entry)| entry)
    }

    /// Where a question is, or would have to be.
    fn place(&self, question: &Question) -> Result<usize, usize> {
        self.entries
            .binary_search_by(|(other, _)| other.cmp(question))
    }

    fn remove(&mut self, place: usize) {
        let (question, entry) = self.entries.remove(place);
        self.bytes = self.bytes.saturating_sub(cost(&question, &entry));
    }

    fn first_to_expire(&self) -> Option<usize> {
        let entries = self.entries.iter().enumerate();
        let first = entries.min_by_key(|(_, (_, entry))| entry.expires_ms);
        first.map(|(place, _)| place)
    }
}

fn list<'a>(rest: usize, names: impl IntoIterator<Item = &'a String>) -> usize {
    names.into_iter().fold(rest, |sum, name| {
        sum.saturating_add(name.len()).saturating_add(8)
    })
}

fn cost(question: &Question, entry: &Entry) -> usize {
    let texts = [
        question.authority.as_deref(),
        question.destination.as_deref(),
    ];
    let decision = match &entry.decision {
        Decision::Direct {
            subject_alt_names,
            server_name,
        } => list(server_name.len(), subject_alt_names),
        Decision::Hold { cluster, split, .. } => {
            list(cluster.len(), split.iter().map(|share| &share.cluster))
        }
        Decision::Passthrough { .. } => 0,
    };
    texts
        .into_iter()
        .flatten()
        .fold(decision.saturating_add(ENTRY_BYTES), |sum, text| {
            sum.saturating_add(text.len())
        })
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

    fn direct(server_name: &str, expires_ms: u64) -> Entry {
        Entry {
            decision: Decision::Direct {
                subject_alt_names: Vec::new(),
                server_name: server_name.to_owned(),
            },
            expires_ms,
        }
    }

    #[test]
    fn a_decision_holds_until_it_expires() {
        let mut decisions = Decisions::default();
        decisions.insert(question("a"), direct("g", 10), 9);
        assert!(decisions.get(&question("a"), 9).is_some());
        assert!(decisions.get(&question("a"), 10).is_none());
        assert!(decisions.get(&question("b"), 0).is_none());
        decisions.expire(10);
        assert!(decisions.stale(&question("a")).is_some());
        decisions.expire(10 + STALE_MS);
        assert!(decisions.is_empty());
        assert_eq!(decisions.bytes, 0);
    }

    #[test]
    fn the_first_to_expire_makes_room() {
        let mut decisions = Decisions::default();
        for (name, expires_ms) in [("a", 30), ("b", 10), ("c", 20)] {
            decisions.insert(question(name), direct("g", expires_ms), 2);
        }
        let left: Vec<_> = decisions
            .iter()
            .map(|(question, _)| question.authority.clone().unwrap())
            .collect();
        assert_eq!(left, ["a", "c"]);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut decisions = Decisions::default();
        for index in 0..1_000 {
            decisions.insert(
                question(&index.to_string()),
                direct(&"g".repeat(2_000), index),
                10_000,
            );
            assert!(decisions.bytes <= MAX_BYTES);
        }
        assert!(decisions.get(&question("999"), 0).is_some());
        let kept: usize = decisions
            .iter()
            .map(|(question, entry)| cost(question, entry))
            .sum();
        assert_eq!(kept, decisions.bytes);
    }

    #[test]
    fn a_newer_decision_replaces_the_older() {
        let mut decisions = Decisions::default();
        decisions.insert(question("a"), direct("old", 10), 9);
        let mut newer = Decisions::default();
        newer.insert(question("a"), direct("new", 20), 9);
        decisions.merge(newer.clone(), 9);
        assert_eq!(decisions, newer);
    }
}
