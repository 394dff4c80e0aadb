//! How often cached decisions were used, for the collector: its evidence that a dependency is still in use. And what went
//! wrong: its evidence that a small scope costs something.

use lazymesh_protocol::{MAX_REPORTS, Report, Trouble};

use crate::host::Token;
use crate::question::Question;

/// What is reported together.
#[derive(Debug, Default)]
struct Batch {
    /// In the order of the questions, to look them up quickly.
    uses: Vec<(Question, u64)>,
    trouble: Option<Trouble>,
}

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
            pending: Batch::default(),
            due_ms: 0,
            sent: None,
        }
    }

    /// Counts one request. A batch that is full counts no further hosts.
    pub(crate) fn add(&mut self, question: &Question, now_ms: u64) {
        if let Some(batch) = self.open(now_ms) {
            batch.increase(question, 1);
        }
    }

    /// Counts what went wrong.
    pub(crate) fn add_trouble(&mut self, trouble: Trouble, now_ms: u64) {
        if let Some(batch) = self.open(now_ms) {
            batch.worsen(trouble);
        }
    }

    /// The batch that is not sent yet, if there are any.
    fn open(&mut self, now_ms: u64) -> Option<&mut Batch> {
        if self.interval_ms == 0 {
            return None;
        }
        if self.pending.is_empty() {
            self.due_ms = now_ms.saturating_add(self.interval_ms);
        }
        Some(&mut self.pending)
    }

    /// When to report, in milliseconds; `None` when there is nothing to.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        (!self.pending.is_empty()).then_some(self.due_ms)
    }

    /// What to report.
    pub(crate) fn reports(&self) -> Vec<Report> {
        self.pending
            .uses
            .iter()
            .map(|(question, count)| question.report(*count))
            .collect()
    }

    /// What went wrong, to report.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.pending.trouble
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
            for (question, count) in batch.uses {
                self.pending.increase(&question, count);
            }
            if let Some(trouble) = batch.trouble {
                self.pending.worsen(trouble);
            }
        }
        true
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.uses.is_empty() && self.trouble.is_none()
    }

    fn increase(&mut self, question: &Question, by: u64) {
        let uses = &mut self.uses;
        match uses.binary_search_by(|(other, _)| other.cmp(question)) {
            Ok(found) => {
                if let Some((_, count)) = uses.get_mut(found) {
                    *count = count.saturating_add(by);
                }
            }
            Err(place) if uses.len() < MAX_REPORTS => uses.insert(place, (question.clone(), by)),
            Err(_) => {}
        }
    }

    fn worsen(&mut self, by: Trouble) {
        self.trouble = Some(match self.trouble {
            None => by,
            Some(trouble) => Trouble {
                hold_timeouts: trouble.hold_timeouts.saturating_add(by.hold_timeouts),
                callout_failures: trouble.callout_failures.saturating_add(by.callout_failures),
                ..trouble
            },
        });
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
        let trouble = |hold_timeouts| Trouble {
            protocol: Protocol::Http,
            hold_timeouts,
            callout_failures: 1,
        };
        sum.add_trouble(trouble(2), 200);
        sum.sent(None, 210);
        assert_eq!((sum.due_ms(), counts(&sum).len()), (Some(310), 1));
        sum.sent(Some(9), 310);
        sum.add_trouble(trouble(3), 320);
        assert_eq!(sum.due_ms(), Some(420), "trouble alone is told, too");
        assert!(sum.end(9, false));
        let told = sum
            .trouble()
            .map(|it| (it.hold_timeouts, it.callout_failures));
        assert_eq!(told, Some((5, 2)));
        sum.sent(Some(9), 420);
        assert_eq!(sum.trouble(), None);
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
