//! How often cached decisions were used, for the collector: its evidence that a dependency is still in use.

use lazymesh_protocol::{MAX_REPORTS, Report};

use crate::host::Token;
use crate::question::Question;

/// In the order of the questions, to look them up quickly.
type Batch = Vec<(Question, u64)>;

/// Counts of one worker, reported in batches.
#[derive(Debug)]
pub(crate) struct Counts {
    interval_ms: u64,
    pending: Batch,
    due_ms: u64,
    sent: Option<(Token, Batch)>,
}

impl Counts {
    /// Counts that are reported so many milliseconds after the first of a batch; 0: never.
    pub(crate) fn new(interval_ms: u32) -> Self {
        Self {
            interval_ms: interval_ms.into(),
            pending: Batch::new(),
            due_ms: 0,
            sent: None,
        }
    }

    /// Counts one request. A batch that is full counts no further hosts.
    pub(crate) fn add(&mut self, question: &Question, now_ms: u64) {
        if self.interval_ms == 0 {
            return;
        }
        if self.pending.is_empty() {
            self.due_ms = now_ms.saturating_add(self.interval_ms);
        }
        increase(&mut self.pending, question, 1);
    }

    /// When to report, in milliseconds; `None` when there is nothing to.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        (!self.pending.is_empty()).then_some(self.due_ms)
    }

    /// What to report.
    pub(crate) fn reports(&self) -> Vec<Report> {
        self.pending
            .iter()
            .map(|(question, count)| question.report(*count))
            .collect()
    }

    /// Notes that it is being sent by this call, or that it could not be sent now.
    pub(crate) fn sent(&mut self, token: Option<Token>, now_ms: u64) {
        self.due_ms = now_ms.saturating_add(self.interval_ms);
        self.sent = token.map(|token| (token, std::mem::take(&mut self.pending)));
    }

    /// Ends the sending. False: this call was none of counts.
    pub(crate) fn end(&mut self, token: Token, accepted: bool) -> bool {
        let Some((_, batch)) = self.sent.take_if(|(sent, _)| *sent == token) else {
            return false;
        };
        if !accepted {
            for (question, count) in batch {
                increase(&mut self.pending, &question, count);
            }
        }
        true
    }
}

fn increase(batch: &mut Batch, question: &Question, by: u64) {
    match batch.binary_search_by(|(other, _)| other.cmp(question)) {
        Ok(found) => {
            if let Some((_, count)) = batch.get_mut(found) {
                *count = count.saturating_add(by);
            }
        }
        Err(place) if batch.len() < MAX_REPORTS => batch.insert(place, (question.clone(), by)),
        Err(_) => {}
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

    fn counts(counts: &Counts) -> Vec<(String, u64)> {
        counts
            .reports()
            .into_iter()
            .map(|report| (report.authority.unwrap(), report.count))
            .collect()
    }

    #[test]
    fn a_batch_is_due_an_interval_after_its_first_count() {
        let mut sum = Counts::new(100);
        assert_eq!(sum.due_ms(), None);
        sum.add(&question("a"), 5);
        sum.add(&question("b"), 50);
        sum.add(&question("a"), 60);
        assert_eq!(sum.due_ms(), Some(105));
        assert_eq!(counts(&sum), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
        sum.sent(Some(7), 105);
        assert_eq!(sum.due_ms(), None);
    }

    #[test]
    fn what_was_not_accepted_is_reported_again() {
        let mut sum = Counts::new(100);
        sum.add(&question("a"), 0);
        sum.sent(Some(7), 100);
        sum.add(&question("a"), 110);
        assert!(!sum.end(8, false));
        assert!(sum.end(7, false));
        assert!(!sum.end(7, false));
        assert_eq!(counts(&sum), [("a".to_owned(), 2)]);
        sum.sent(None, 210);
        assert_eq!((sum.due_ms(), counts(&sum).len()), (Some(310), 1));
        sum.sent(Some(9), 310);
        assert!(sum.end(9, true));
        assert_eq!(sum.due_ms(), None);
    }

    #[test]
    fn a_batch_is_bounded_and_can_be_turned_off() {
        let mut sum = Counts::new(100);
        for index in 0..MAX_REPORTS * 2 {
            sum.add(&question(&index.to_string()), 0);
        }
        assert_eq!(sum.reports().len(), MAX_REPORTS);
        let mut off = Counts::new(0);
        off.add(&question("a"), 0);
        assert_eq!(off.due_ms(), None);
    }
}
