//! One writer thread for many callers: what is queued is written and synced together.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as std_mpsc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{self, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::record::{self, Op};
use super::{Change, Snapshot, StoreError};

/// Callers that may wait for the writer; further ones wait for a place in the queue.
const QUEUE: usize = 1_024;
/// Operations in one group. Bounds how long a group takes, how much is at stake in its one sync, and what the engine holds
/// for it.
const MAX_GROUP: usize = 1_024;
/// How long nothing must have come before the engine may do what nobody waits for: the next group would wait behind it.
const IDLE_AFTER: Duration = Duration::from_millis(100);

/// Takes a record.
pub(super) type Visitor<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), String> + 'a;

/// A key-value engine, driven by one thread.
pub(super) trait Backend {
    /// Visits every record in the order of keys. A visitor that cannot read one has found damage.
    fn scan(&self, visit: &mut Visitor<'_>) -> Result<(), StoreError>;
    /// Applies all of it or nothing. When it returns, the change survives a power cut.
    fn write(&mut self, ops: Vec<Op>) -> Result<(), StoreError>;
    /// Does what nobody waits for. Called when nothing has come for a while, and at the end.
    fn idle(&mut self) -> Result<(), StoreError>;
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

enum Job {
    Commit { ops: Vec<Op>, ack: Reply<()> },
    Load { reply: Reply<Snapshot> },
    Close { ack: Reply<()> },
}

/// The callers' side. Dropping it lets the writer finish its queue and end.
pub(super) struct GroupCommit {
    jobs: mpsc::Sender<Job>,
    closed: AtomicBool,
}

impl GroupCommit {
    /// Opens the engine on the writer thread, so that a panic in there is an error here, and waits for it.
    pub(super) fn start<B: Backend>(
        open: impl FnOnce() -> Result<B, StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (opened, result) = std_mpsc::sync_channel(1);
        let clock = runtime::Builder::new_current_thread().enable_time().build();
        let clock = clock.map_err(|error| StoreError::Write {
            reason: error.to_string(),
        })?;
        thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || match open() {
                Ok(backend) => {
                    // The opener may have gone; the queue then ends at once.
                    let _ = opened.send(Ok(()));
                    write_until_closed(backend, queue, &clock);
                }
                Err(error) => {
                    let _ = opened.send(Err(error));
                }
            })
            .map_err(|error| StoreError::Write {
                reason: error.to_string(),
            })?;
        result.recv().map_err(|_| StoreError::WriterDied)??;
        Ok(Self {
            jobs,
            closed: AtomicBool::new(false),
        })
    }

    pub(super) async fn load(&self) -> Result<Snapshot, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Load { reply }, answer).await
    }

    pub(super) async fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        let ops = changes
            .iter()
            .map(record::encode)
            .collect::<Result<Vec<_>, _>>()?;
        if ops.is_empty() {
            return Ok(());
        }
        let (ack, answer) = oneshot::channel();
        self.ask(Job::Commit { ops, ack }, answer).await
    }

    pub(super) async fn close(&self) -> Result<(), StoreError> {
        let (ack, answer) = oneshot::channel();
        match self.ask(Job::Close { ack }, answer).await {
            Err(StoreError::Closed) => Ok(()),
            result => {
                self.closed.store(true, Ordering::Release);
                result
            }
        }
    }

    async fn ask<T>(
        &self,
        job: Job,
        answer: oneshot::Receiver<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.jobs.send(job).await.map_err(|_| self.gone())?;
        answer.await.map_err(|_| self.gone())?
    }

    fn gone(&self) -> StoreError {
        if self.closed.load(Ordering::Acquire) {
            StoreError::Closed
        } else {
            StoreError::WriterDied
        }
    }
}

fn write_until_closed(backend: impl Backend, mut queue: mpsc::Receiver<Job>, clock: &Runtime) {
    let mut writer = Writer {
        backend,
        failure: None,
    };
    let mut group = Group::default();
    loop {
        let soon = clock.block_on(async { timeout(IDLE_AFTER, queue.recv()).await });
        let next = soon.unwrap_or_else(|_| {
            writer.idle();
            queue.blocking_recv()
        });
        let Some(mut job) = next else {
            break;
        };
        loop {
            match job {
                Job::Commit { ops, ack } => group.add(ops, ack),
                Job::Load { reply } => {
                    writer.write(mem::take(&mut group));
                    // A caller that no longer waits needs no answer, here and below.
                    let _ = reply.send(writer.load());
                }
                Job::Close { ack } => {
                    writer.write(mem::take(&mut group));
                    writer.idle();
                    drop(writer);
                    let _ = ack.send(Ok(()));
                    return;
                }
            }
            match queue.try_recv() {
                Ok(next) if group.ops.len() < MAX_GROUP => job = next,
                Ok(next) => {
                    writer.write(mem::take(&mut group));
                    job = next;
                }
                Err(_) => break,
            }
        }
        writer.write(mem::take(&mut group));
    }
    writer.idle();
}

#[derive(Default)]
struct Group {
    ops: Vec<Op>,
    acks: Vec<Reply<()>>,
}

impl Group {
    fn add(&mut self, ops: Vec<Op>, ack: Reply<()>) {
        self.ops.extend(ops);
        self.acks.push(ack);
    }
}

struct Writer<B> {
    backend: B,
    failure: Option<String>,
}

impl<B: Backend> Writer<B> {
    fn write(&mut self, group: Group) {
        if group.ops.is_empty() {
            return;
        }
        let result = match &self.failure {
            Some(reason) => Err(StoreError::Refused {
                reason: reason.clone(),
            }),
            None => self.backend.write(group.ops),
        };
        self.note(&result);
        for ack in group.acks {
            let _ = ack.send(result.clone());
        }
    }

    fn idle(&mut self) {
        if self.failure.is_none() {
            let result = self.backend.idle();
            self.note(&result);
        }
    }

    fn note(&mut self, result: &Result<(), StoreError>) {
        if let (Err(error), None) = (result, &self.failure) {
            tracing::error!(%error, "the store refuses writes from here on");
            self.failure = Some(error.to_string());
        }
    }

    fn load(&self) -> Result<Snapshot, StoreError> {
        let mut snapshot = Snapshot::default();
        self.backend
            .scan(&mut |key, value| record::decode_into(&mut snapshot, key, value))?;
        Ok(snapshot)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::store::fixtures::dependency;

    /// Waits before each write until the test lets it through, and counts what it was given.
    struct Gated {
        gate: std_mpsc::Receiver<Result<(), StoreError>>,
        groups: Arc<Mutex<Vec<usize>>>,
    }

    impl Backend for Gated {
        fn scan(&self, _: &mut Visitor<'_>) -> Result<(), StoreError> {
            Ok(())
        }

        fn idle(&mut self) -> Result<(), StoreError> {
            Ok(())
        }

        fn write(&mut self, ops: Vec<Op>) -> Result<(), StoreError> {
            self.groups.lock().unwrap().push(ops.len());
            self.gate.recv().unwrap()
        }
    }

    struct Gate {
        store: Arc<GroupCommit>,
        open: std_mpsc::Sender<Result<(), StoreError>>,
        groups: Arc<Mutex<Vec<usize>>>,
    }

    fn gated() -> Gate {
        let (open, gate) = std_mpsc::channel();
        let groups = Arc::new(Mutex::new(Vec::new()));
        let backend = Gated {
            gate,
            groups: groups.clone(),
        };
        let store = GroupCommit::start(move || Ok(backend)).unwrap();
        Gate {
            store: Arc::new(store),
            open,
            groups,
        }
    }

    impl Gate {
        fn commit(&self, name: &str) -> tokio::task::JoinHandle<Result<(), StoreError>> {
            let (store, change) = (
                self.store.clone(),
                Change::Dependency(dependency("web", name)),
            );
            tokio::spawn(async move { store.commit(&[change]).await })
        }

        /// Starts one write that blocks at the gate, and then as many commits, all of them in the queue.
        async fn queue_behind_a_write(
            &self,
            waiting: usize,
        ) -> Vec<tokio::task::JoinHandle<Result<(), StoreError>>> {
            let mut commits = vec![self.commit("first")];
            while self.groups.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            commits.extend((0..waiting).map(|n| self.commit(&format!("host{n}"))));
            while self.store.jobs.capacity() > QUEUE - waiting {
                tokio::task::yield_now().await;
            }
            commits
        }
    }

    /// Counts how often it was idle.
    struct Idle(Arc<AtomicUsize>);

    impl Backend for Idle {
        fn scan(&self, _: &mut Visitor<'_>) -> Result<(), StoreError> {
            Ok(())
        }

        fn idle(&mut self) -> Result<(), StoreError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }

        fn write(&mut self, _: Vec<Op>) -> Result<(), StoreError> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_comes_soon_waits_for_no_idling() {
        let idled = Arc::new(AtomicUsize::new(0));
        let backend = Idle(idled.clone());
        let store = GroupCommit::start(move || Ok(backend)).unwrap();
        let change = [Change::Dependency(dependency("web", "host"))];
        for _ in 0..20 {
            store.commit(&change).await.unwrap();
        }
        // A busy machine may stop us for a while, though not each time.
        assert!(idled.load(Ordering::SeqCst) < 20);
        store.close().await.unwrap();
        assert!(idled.load(Ordering::SeqCst) > 0);
    }

    #[tokio::test]
    async fn what_waits_behind_a_write_is_one_group() {
        let gate = gated();
        let commits = gate.queue_behind_a_write(100).await;
        gate.open.send(Ok(())).unwrap();
        gate.open.send(Ok(())).unwrap();
        for commit in commits {
            commit.await.unwrap().unwrap();
        }
        assert_eq!(*gate.groups.lock().unwrap(), [1, 100]);
    }

    #[tokio::test]
    async fn a_failed_write_reaches_every_caller_and_ends_all_writing() {
        let gate = gated();
        let commits = gate.queue_behind_a_write(20).await;
        gate.open.send(Ok(())).unwrap();
        let reason = "no space left".to_owned();
        gate.open.send(Err(StoreError::Write { reason })).unwrap();
        let mut results = Vec::new();
        for commit in commits {
            results.push(commit.await.unwrap());
        }
        assert!(results.remove(0).is_ok());
        assert_eq!(results.len(), 20);
        assert!(
            results
                .iter()
                .all(|result| matches!(result, Err(StoreError::Write { .. })))
        );

        let refused = gate.commit("later").await.unwrap().unwrap_err();
        assert!(
            matches!(&refused, StoreError::Refused { reason } if reason.contains("no space left"))
        );
        assert_eq!(
            *gate.groups.lock().unwrap(),
            [1, 20],
            "the engine was not asked again"
        );
    }

    #[tokio::test]
    async fn closing_writes_what_is_queued() {
        let gate = gated();
        let commits = gate.queue_behind_a_write(3).await;
        let closing = tokio::spawn({
            let store = gate.store.clone();
            async move { store.close().await }
        });
        gate.open.send(Ok(())).unwrap();
        gate.open.send(Ok(())).unwrap();
        for commit in commits {
            commit.await.unwrap().unwrap();
        }
        closing.await.unwrap().unwrap();
        assert!(matches!(
            gate.commit("later").await.unwrap(),
            Err(StoreError::Closed)
        ));
        gate.store.close().await.unwrap();
    }

    #[tokio::test]
    async fn an_engine_that_panics_is_an_error() {
        let gate = gated();
        let commit = gate.commit("first");
        drop(gate.open);
        assert!(matches!(commit.await.unwrap(), Err(StoreError::WriterDied)));
        assert!(matches!(
            gate.store.load().await,
            Err(StoreError::WriterDied)
        ));
        assert!(matches!(
            gate.store.close().await,
            Err(StoreError::WriterDied)
        ));
    }
}
