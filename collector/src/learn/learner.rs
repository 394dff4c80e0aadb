//! The way from a decision to something that is known for good.

use std::sync::Arc;

use lazymesh_core::{Dependency, ExternalHost, Learned, Origin, Workload};
use tokio::sync::OwnedSemaphorePermit;

use crate::state::{Collector, Knowledge};
use crate::store::{Change, StoreError};

/// Something new, met `count` times.
pub(crate) struct Lesson {
    pub(crate) source: Workload,
    pub(crate) learned: Learned,
    pub(crate) count: u64,
}

impl Lesson {
    fn change(self, now_ms: u64) -> Option<Change> {
        let Self {
            source,
            learned,
            count,
        } = self;
        match learned {
            Learned::Host(host) => Some(Change::Dependency(Dependency {
                source,
                host,
                first_seen_ms: now_ms,
                last_seen_ms: now_ms,
                count,
                origin: Origin::Learned,
            })),
            Learned::External(host) => Some(Change::External(ExternalHost {
                source,
                host,
                first_seen_ms: now_ms,
                last_seen_ms: now_ms,
                count,
            })),
            Learned::Nothing => None,
        }
    }
}

/// Requests for the same new host may have been on their way to the disk together; all of them count.
impl Knowledge {
    /// Whether it is new.
    fn learn(&mut self, new: Dependency) -> bool {
        let Dependency {
            source,
            host,
            last_seen_ms,
            count,
            ..
        } = &new;
        if self.graph.touch(source, host, *last_seen_ms, *count) {
            return false;
        }
        self.graph.insert(new);
        true
    }

    fn learn_external(&mut self, new: ExternalHost) {
        let ExternalHost {
            source,
            host,
            last_seen_ms,
            count,
            ..
        } = &new;
        if !self
            .graph
            .touch_external(source, host, *last_seen_ms, *count)
        {
            self.graph.insert_external(new);
        }
    }
}

impl Collector {
    /// Counts uses of something known, in memory only; `false` when it is not known, or there is nothing to know.
    pub(crate) fn touch(
        &self,
        source: &Workload,
        learned: &Learned,
        now_ms: u64,
        count: u64,
    ) -> bool {
        self.change(|knowledge| match learned {
            Learned::Host(host) => knowledge.graph.touch(source, host, now_ms, count),
            Learned::External(host) => knowledge.graph.touch_external(source, host, now_ms, count),
            Learned::Nothing => false,
        })
    }

    /// Makes lessons durable, then known, then published, in that order.
    ///
    /// Runs as a task of its own: a filter that has given up waiting must not leave behind what is on disk
    /// but not in the graph, or a slow disk would keep its host from ever being published.
    pub(crate) async fn learn(
        self: &Arc<Self>,
        lessons: Vec<Lesson>,
        now_ms: u64,
        permits: OwnedSemaphorePermit,
    ) -> Result<(), StoreError> {
        if lessons.is_empty() {
            return Ok(());
        }
        let collector = Arc::clone(self);
        let task = tokio::spawn(async move {
            let result = collector.learn_now(lessons, now_ms).await;
            drop(permits);
            result
        });
        task.await.unwrap_or(Err(StoreError::Closed))
    }

    /// The right to have `lessons` on their way to the disk.
    pub(crate) async fn permit(&self, lessons: usize) -> Result<OwnedSemaphorePermit, StoreError> {
        let lessons = u32::try_from(lessons).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.learning).acquire_many_owned(lessons).await;
        permit.map_err(|_| StoreError::Closed)
    }

    async fn learn_now(&self, lessons: Vec<Lesson>, now_ms: u64) -> Result<(), StoreError> {
        let changes: Vec<Change> = lessons
            .into_iter()
            .filter_map(|lesson| lesson.change(now_ms))
            .collect();
        self.commit(changes.clone()).await?;
        self.metrics.learned.inc_by(changes.len() as u64);
        let mut targets = Vec::new();
        self.change(|knowledge| {
            let had_room = !knowledge.graph.is_full();
            for change in changes {
                match change {
                    Change::Dependency(dependency) => {
                        let source = dependency.source.clone();
                        if knowledge.learn(dependency) {
                            targets.extend(knowledge.targets_of(&source));
                        }
                    }
                    Change::External(external) => knowledge.learn_external(external),
                    Change::RemoveDependency { .. } => {}
                }
            }
            if had_room && knowledge.graph.is_full() {
                // Whoever has learned nothing yet can learn nothing any more.
                targets.extend(knowledge.targets());
            }
        });
        self.queue.add(targets);
        Ok(())
    }
}
