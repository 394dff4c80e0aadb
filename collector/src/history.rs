//! Remembers what happened lately, for those who ask and those who follow: so many events, and of older ones their number.
//!
//! What is learned is in the graph for as long as it counts. This says in which order it came, and what went.

use std::collections::VecDeque;
use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::Arc;

use lazymesh_core::{EgressHost, Revert, Witness, Workload};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::publish::sink::Published;
use crate::runtime::clock::now_ms;

/// Most events that are remembered. One takes up to a kilobyte.
const EVENTS: usize = 8_192;

/// Something that happened.
pub(crate) struct Happening {
    /// When, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    pub(crate) what: What,
}

/// What happened.
pub(crate) enum What {
    /// A workload called a host of the mesh for the first time.
    Learned {
        source: Workload,
        host: EgressHost,
        witness: Witness,
    },
    /// As [`What::Learned`], for a host outside the mesh.
    LearnedExternal {
        source: Workload,
        host: String,
        witness: Witness,
    },
    /// All that a workload had learned went.
    Forgotten { source: Workload },
    /// Nobody has seen a workload call a host of the mesh for long.
    Expired { source: Workload, host: EgressHost },
    /// No filter of a workload has called for long, so it has its full scope.
    FiltersSilent { source: Workload },
    /// One of them has called again.
    FiltersBack { source: Workload },
    /// A Sidecar changed.
    Published { place: Published, hosts: usize },
    /// A Sidecar went.
    Withdrawn { place: Published },
    /// A canary failed.
    Reverted { revert: Revert },
    /// A canary that failed is tried again.
    Resumed { revert: Revert },
}

/// Where an event stands: numbers begin at 1 with each run of the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventId {
    run: u64,
    number: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.run, self.number)
    }
}

impl FromStr for EventId {
    type Err = Option<ParseIntError>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (run, number) = text.split_once('-').ok_or(None)?;
        Ok(Self {
            run: run.parse()?,
            number: number.parse()?,
        })
    }
}

/// What came after an event.
pub(crate) struct Page {
    /// How many that are not remembered any more came first.
    pub(crate) missed: u64,
    /// The first of those that are.
    pub(crate) events: Vec<(EventId, Arc<Happening>)>,
}

/// The last events.
pub(crate) struct History {
    /// When this run began, in milliseconds since 1970.
    run: u64,
    most: usize,
    ring: Mutex<VecDeque<Arc<Happening>>>,
    /// Number of the newest event; none once the collector ends.
    newest: watch::Sender<Option<u64>>,
}

impl Default for History {
    fn default() -> Self {
        Self::new(EVENTS)
    }
}

impl History {
    fn new(most: usize) -> Self {
        Self {
            run: now_ms(),
            most,
            ring: Mutex::default(),
            newest: watch::Sender::new(Some(0)),
        }
    }

    pub(crate) fn record(&self, what: What) {
        let at_ms = now_ms();
        let mut ring = self.ring.lock();
        if ring.len() == self.most {
            ring.pop_front();
        }
        ring.push_back(Arc::new(Happening { at_ms, what }));
        self.newest.send_modify(|newest| {
            *newest = newest.map(|newest| newest + 1);
        });
    }

    /// Lets all end who follow.
    pub(crate) fn close(&self) {
        self.newest.send_replace(None);
    }

    /// Tells when there is something newer.
    pub(crate) fn follow(&self) -> watch::Receiver<Option<u64>> {
        self.newest.subscribe()
    }

    /// The place of an event; none where it is of another run.
    pub(crate) fn place(&self, id: EventId) -> Option<u64> {
        let newest = self.newest.borrow().unwrap_or_default();
        (id.run == self.run && id.number <= newest).then_some(id.number)
    }

    /// The place before all that is remembered.
    pub(crate) fn start(&self) -> u64 {
        let ring = self.ring.lock();
        self.newest.borrow().unwrap_or_default() - ring.len() as u64
    }

    /// What came after a place, at most so much.
    pub(crate) fn after(&self, place: u64, most: usize) -> Page {
        let ring = self.ring.lock();
        let newest = self.newest.borrow().unwrap_or_default();
        let start = newest.saturating_sub(ring.len() as u64);
        let from = place.max(start);
        let skip = usize::try_from(from - start).unwrap_or(usize::MAX);
        let events = ring.iter().skip(skip).take(most).cloned();
        let numbers = (from + 1)..;
        let id = |number| EventId {
            run: self.run,
            number,
        };
        Page {
            missed: start.saturating_sub(place),
            events: numbers.map(id).zip(events).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(events: u64) -> History {
        let history = History::new(3);
        for n in 0..events {
            let source = Workload::new("shop", format!("w{}", n + 1)).expect("a name");
            history.record(What::Forgotten { source });
        }
        history
    }

    #[test]
    fn tells_what_came_after_and_how_much_is_gone() {
        let check = |events, place, most, missed, expect: &[u64]| {
            let page = history(events).after(place, most);
            let found: Vec<u64> = page.events.iter().map(|(id, _)| id.number).collect();
            assert_eq!(
                (page.missed, &*found),
                (missed, expect),
                "{place} of {events}"
            );
            for (id, event) in page.events {
                let What::Forgotten { source } = &event.what else {
                    panic!("{id}");
                };
                assert_eq!(source.name, format!("w{}", id.number));
            }
        };
        check(0, 0, 9, 0, &[]);
        check(2, 0, 9, 0, &[1, 2]);
        check(2, 1, 9, 0, &[2]);
        check(2, 2, 9, 0, &[]);
        check(5, 0, 9, 2, &[3, 4, 5]);
        check(5, 1, 1, 1, &[3]);
        check(5, 4, 9, 0, &[5]);
    }

    #[test]
    fn an_event_of_another_run_has_no_place() {
        let history = history(5);
        let id = |run, number| EventId { run, number };
        assert_eq!(history.place(id(history.run, 4)), Some(4));
        assert_eq!(history.place(id(history.run, 6)), None);
        assert_eq!(history.place(id(history.run + 1, 4)), None);
        assert_eq!(history.start(), 2);
    }

    #[test]
    fn ids_are_read_as_they_are_written() {
        let id = EventId { run: 7, number: 3 };
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in [
            "",
            "7",
            "7-",
            "-3",
            "a-3",
            "7-3-1",
            "99999999999999999999-1",
        ] {
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
    }
}
