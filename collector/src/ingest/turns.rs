//! Lets batches of one source wait for each other, so that those of others need not.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use lazymesh_core::Workload;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Batches of one workload that are worked on at once, and most of them that there may be with those that wait.
const OF_A_WORKLOAD: Bound = Bound {
    at_once: 1,
    most: 64,
};
/// The same of one namespace: who owns one can name any number of workloads.
const OF_A_NAMESPACE: Bound = Bound {
    at_once: 2,
    most: 256,
};

#[derive(Clone, Copy)]
struct Bound {
    at_once: usize,
    most: usize,
}

/// Whose turn it is.
pub(crate) struct Turns {
    workloads: Arc<Queues<Workload>>,
    namespaces: Arc<Queues<String>>,
}

/// A turn, until this is dropped.
pub(crate) struct Turn {
    _namespace: Place<String>,
    _workload: Place<Workload>,
}

/// A source has as much waiting as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("as many batches of this workload, or of its namespace, wait as may; send fewer at once")]
pub(crate) struct Crowd;

impl Default for Turns {
    fn default() -> Self {
        Self {
            workloads: Queues::new(OF_A_WORKLOAD),
            namespaces: Queues::new(OF_A_NAMESPACE),
        }
    }
}

impl Turns {
    /// Waits until it is this workload's turn, behind others of its own and of its namespace only.
    ///
    /// # Errors
    /// [`Crowd`], at once, when too many wait already.
    pub(crate) async fn take(&self, source: &Workload) -> Result<Turn, Crowd> {
        let workload = self.workloads.join(source.clone())?;
        let namespace = self.namespaces.join(source.namespace.clone())?;
        let workload = workload.wait().await?;
        let namespace = namespace.wait().await?;
        Ok(Turn {
            _namespace: namespace,
            _workload: workload,
        })
    }
}

/// A queue a key; keys that nobody waits for are forgotten.
struct Queues<K: Eq + Hash> {
    bound: Bound,
    queues: Mutex<HashMap<K, Queue>>,
}

struct Queue {
    turns: Arc<Semaphore>,
    inside: usize,
}

/// A place in a queue, or at its head.
struct Place<K: Eq + Hash> {
    queues: Arc<Queues<K>>,
    key: K,
    turns: Arc<Semaphore>,
    turn: Option<OwnedSemaphorePermit>,
}

impl<K: Eq + Hash + Clone> Queues<K> {
    fn new(bound: Bound) -> Arc<Self> {
        let queues = Mutex::default();
        Arc::new(Self { bound, queues })
    }

    fn join(self: &Arc<Self>, key: K) -> Result<Place<K>, Crowd> {
        let mut queues = self.queues.lock();
        let queue = queues.entry(key.clone()).or_insert_with(|| Queue {
            turns: Arc::new(Semaphore::new(self.bound.at_once)),
            inside: 0,
        });
        if queue.inside >= self.bound.most {
            return Err(Crowd);
        }
        queue.inside += 1;
        Ok(Place {
            queues: Arc::clone(self),
            key,
            turns: Arc::clone(&queue.turns),
            turn: None,
        })
    }
}

impl<K: Eq + Hash> Place<K> {
    async fn wait(mut self) -> Result<Self, Crowd> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        self.turn = Some(turn.map_err(|_| Crowd)?);
        Ok(self)
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut queues = self.queues.queues.lock();
        if let Some(queue) = queues.get_mut(&self.key) {
            queue.inside -= 1;
            if queue.inside == 0 {
                queues.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn source(namespace: &str, name: &str) -> Workload {
        Workload {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    fn now(turns: &Turns, namespace: &str, name: &str) -> Option<Result<Turn, Crowd>> {
        turns.take(&source(namespace, name)).now_or_never()
    }

    #[test]
    fn who_sends_much_waits_for_itself() {
        let turns = Turns::default();
        let first = now(&turns, "shop", "a");
        assert!(matches!(first, Some(Ok(_))));
        assert!(now(&turns, "shop", "a").is_none());
        let second = now(&turns, "shop", "b");
        assert!(matches!(second, Some(Ok(_))));
        // The namespace has its share; others have theirs.
        assert!(now(&turns, "shop", "c").is_none());
        assert!(matches!(now(&turns, "bank", "a"), Some(Ok(_))));
        drop(first);
        assert!(matches!(now(&turns, "shop", "c"), Some(Ok(_))));
    }

    #[test]
    fn a_crowd_is_refused_at_once_and_leaves_nothing() {
        let turns = Turns::default();
        let a = source("shop", "a");
        let mut waiting: Vec<_> = (0..OF_A_WORKLOAD.most)
            .map(|_| Box::pin(turns.take(&a)))
            .collect();
        let mut held = Vec::new();
        for turn in &mut waiting {
            held.extend(turn.now_or_never());
        }
        assert_eq!(held.len(), 1);
        assert!(matches!(now(&turns, "shop", "a"), Some(Err(Crowd))));
        drop((waiting, held));
        assert!(turns.workloads.queues.lock().is_empty());
        assert!(turns.namespaces.queues.lock().is_empty());
    }
}
