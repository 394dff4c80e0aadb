//! Counts uses of what is known, so that nobody who asks about a known host waits for somebody who reads.
//!
//! To count is to write. While somebody reads, a use is kept, and counted by whoever writes next or reads what was counted.

use lazymesh_core::{Graph, Learned, Witness, Workload};
use parking_lot::Mutex;

/// Most uses that are kept; the next one waits until they are counted.
const MOST: usize = 4_096;

/// Something was used.
#[derive(Clone, Copy)]
pub(crate) struct Use<'a> {
    /// Who used it.
    pub(crate) source: &'a Workload,
    /// What.
    pub(crate) learned: &'a Learned,
    /// Who saw that.
    pub(crate) witness: Witness,
    /// When, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// How often.
    pub(crate) count: u64,
}

impl Use<'_> {
    pub(crate) fn is_known(&self, graph: &Graph) -> bool {
        match self.learned {
            Learned::Nothing => true,
            Learned::Host(host) => graph.knows(self.source, host),
            Learned::External(host) => graph.knows_external(self.source, host),
        }
    }

    /// Counts it; `false` when what was used is not known.
    pub(crate) fn count(&self, graph: &mut Graph) -> bool {
        let Self {
            source,
            learned,
            witness,
            at_ms,
            count,
        } = *self;
        match learned {
            Learned::Nothing => true,
            Learned::Host(host) => graph.touch(source, host, witness, at_ms, count),
            Learned::External(host) => graph.touch_external(source, host, witness, at_ms, count),
        }
    }
}

/// Uses that are not counted yet, in their order.
#[derive(Default)]
pub(crate) struct Uses(Mutex<Vec<Kept>>);

struct Kept {
    source: Workload,
    learned: Learned,
    witness: Witness,
    at_ms: u64,
    count: u64,
}

impl Uses {
    /// Keeps a use; whether there is room for more.
    pub(crate) fn keep(&self, used: Use<'_>) -> bool {
        let mut kept = self.0.lock();
        kept.push(Kept {
            source: used.source.clone(),
            learned: used.learned.clone(),
            witness: used.witness,
            at_ms: used.at_ms,
            count: used.count,
        });
        kept.len() < MOST
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Counts all that is kept. What was forgotten meanwhile stays so.
    pub(crate) fn count(&self, graph: &mut Graph) {
        for kept in std::mem::take(&mut *self.0.lock()) {
            let used = Use {
                source: &kept.source,
                learned: &kept.learned,
                witness: kept.witness,
                at_ms: kept.at_ms,
                count: kept.count,
            };
            used.count(graph);
        }
    }
}

#[cfg(test)]
mod tests {
    use lazymesh_core::{ExternalHost, Inventory, Limits, Mesh, Policy};

    use super::*;
    use crate::state::{SharedView, View};

    /// On the one thread of this test who waited for the reader would wait for ever.
    #[test]
    fn who_uses_what_is_known_waits_for_no_reader() {
        let source = Workload::new("shop", "web").expect("a name");
        let mut graph = Graph::new(Limits::default());
        graph.insert_external(ExternalHost {
            source: source.clone(),
            host: "example.com".to_owned(),
            first_seen_ms: 1,
            last_seen_ms: 1,
            count: 1,
        });
        let view = SharedView::new(View {
            inventory: Inventory::new(Mesh::default()),
            graph,
            policy: Policy::default(),
        });
        let count = |host: &str, at_ms| {
            view.count(Use {
                source: &source,
                learned: &Learned::External(host.to_owned()),
                witness: Witness::Filter,
                at_ms,
                count: 1,
            })
        };
        let counted = || view.look().graph.externals().next().map(|it| it.count);

        let reader = view.look();
        assert!(count("example.com", 2));
        assert!(!count("new.example", 2), "it has to be learned");
        drop(reader);
        assert_eq!(counted(), Some(1));
        drop(view.turn());
        assert_eq!(counted(), Some(2));
        assert!(count("example.com", 3));
        assert_eq!(counted(), Some(3));
    }
}
