//! One decision cache for all workers: a snapshot in the proxy's shared data, replaced as a whole by compare-and-swap.
//!
//! A worker keeps its own view of it and looks at shared data only when the view has no answer. It then reads a
//! revision of eight bytes first, and the snapshot only when the revision has moved, so that a flood of unknown hosts
//! does not copy the snapshot once per request.

use lazymesh_protocol::Decision;

use crate::decisions::{Decisions, Entry};
use crate::host::{Host, Written};
use crate::question::Question;
use crate::snapshot;

/// The snapshot. The number is the version of its form.
const DECISIONS: &str = "lazymesh.decisions.3";
/// Revision of the snapshot, as eight little-endian bytes.
const REVISION: &str = "lazymesh.decisions.3.revision";
/// Writes are this far apart, in milliseconds, so that bursts of new hosts share one.
const WRITE_INTERVAL_MS: u64 = 100;
/// Compare-and-swap is tried this often; then the next write tries again.
const MAX_TRIES: usize = 4;

/// The decision cache as one worker sees it.
#[derive(Debug)]
pub(crate) struct SharedDecisions {
    max_entries: usize,
    view: Decisions,
    view_revision: u64,
    unwritten: Decisions,
    write_at_ms: u64,
}

impl SharedDecisions {
    /// An empty view of a cache of at most so many decisions.
    pub(crate) fn new(max_entries: usize) -> Self {
        Self {
            max_entries,
            view: Decisions::default(),
            view_revision: 0,
            unwritten: Decisions::default(),
            write_at_ms: 0,
        }
    }

    /// The decision for a question, if any worker knows one that still holds.
    pub(crate) fn get(
        &mut self,
        host: &impl Host,
        question: &Question,
        now_ms: u64,
    ) -> Option<&Decision> {
        if self.view.get(question, now_ms).is_none() {
            self.refresh(host);
        }
        self.view.get(question, now_ms)
    }

    /// The last decision that this worker has seen, for when the collector does not answer.
    pub(crate) fn stale(&self, question: &Question) -> Option<&Decision> {
        self.view.stale(question)
    }

    /// Adds a decision: for this worker at once, for the others by the next [`SharedDecisions::write`].
    pub(crate) fn insert(&mut self, question: Question, entry: Entry) {
        self.view
            .insert(question.clone(), entry.clone(), self.max_entries);
        self.unwritten.insert(question, entry, self.max_entries);
    }

    /// When [`SharedDecisions::write`] should be called, in milliseconds; `None` when there is nothing to write.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        (!self.unwritten.is_empty()).then_some(self.write_at_ms)
    }

    /// Shares what this worker has learned, if it is time to.
    pub(crate) fn write(&mut self, host: &mut impl Host, now_ms: u64) {
        if self.due_ms().is_none_or(|due_ms| due_ms > now_ms) {
            return;
        }
        self.write_at_ms = now_ms.saturating_add(WRITE_INTERVAL_MS);
        for _ in 0..MAX_TRIES {
            match self.try_write(host, now_ms) {
                Written::Moved => {}
                Written::Done | Written::Failed => return,
            }
        }
    }

    fn try_write(&mut self, host: &mut impl Host, now_ms: u64) -> Written {
        // Version 0 writes in any case. Two workers that both write for the first time may lose one
        // of the two decisions, which is asked for again.
        let (bytes, version) = host.shared(DECISIONS).unwrap_or_default();
        let (revision, mut decisions) =
            snapshot::decode(&bytes, self.max_entries).unwrap_or_default();
        decisions.expire(now_ms);
        decisions.merge(self.unwritten.clone(), self.max_entries);
        let revision = revision.saturating_add(1);
        let written = host.set_shared(DECISIONS, &snapshot::encode(revision, &decisions), version);
        if written == Written::Done {
            // A slower worker may set an older revision after this; then the others read once more than needed.
            host.set_shared(REVISION, &revision.to_le_bytes(), 0);
            self.view = decisions;
            self.view_revision = revision;
            self.unwritten = Decisions::default();
        }
        written
    }

    fn refresh(&mut self, host: &impl Host) {
        let Some(revision) = revision(host) else {
            return;
        };
        if revision == self.view_revision {
            return;
        }
        let read = host
            .shared(DECISIONS)
            .and_then(|(bytes, _)| snapshot::decode(&bytes, self.max_entries));
        // Of a snapshot that cannot be read, only the revision is taken, so that it is not read again.
        self.view_revision = revision;
        if let Some((_, decisions)) = read {
            self.view = decisions;
            self.view.merge(self.unwritten.clone(), self.max_entries);
        }
    }
}

fn revision(host: &impl Host) -> Option<u64> {
    let (bytes, _) = host.shared(REVISION)?;
    bytes.as_slice().try_into().map(u64::from_le_bytes).ok()
}
