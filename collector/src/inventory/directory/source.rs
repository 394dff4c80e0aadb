//! The mesh as a directory of manifests says it is, and how that changes.
//!
//! What the system tells about changes is only a hint of when to look, and which files to read even if they look
//! the same; every look is at the whole directory. A hint that never comes therefore costs seconds, not truth.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self as signals, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use lazymesh_core::{Change, Object};
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::inventory::directory::Problem;
use crate::inventory::directory::tree::{Tree, Update};

/// Files are read when nothing has changed for so long: tools write several at once, and in pieces.
const QUIET: Duration = Duration::from_millis(50);
/// Files are read after so long at the latest, however busy the directory is.
const BUSY: Duration = Duration::from_millis(500);
/// How often to look without a hint.
const POLL: Duration = Duration::from_secs(10);
/// How often to look when the system gives no hints.
const POLL_UNWATCHED: Duration = Duration::from_secs(2);
/// Updates that may wait for the caller.
const QUEUE: usize = 16;

/// Why a directory cannot be an inventory.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The path is not a directory that can be read.
    #[error("inventory {}: {source}", path.display())]
    Directory {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The thread that watches cannot be started.
    #[error("inventory: cannot start a thread: {0}")]
    Thread(io::Error),
}

/// An inventory from a directory of manifests (`*.yaml`, `*.yml`, `*.json`, at any depth), which it watches.
///
/// A file that cannot be read as a whole changes nothing: what it said last stays, and
/// [`problems`](Self::problems) has it.
pub struct DirectorySource {
    updates: mpsc::Receiver<Update>,
    problems: Vec<Problem>,
    signals: signals::Sender<Signal>,
}

enum Signal {
    Look(Vec<PathBuf>),
    Stop,
}

impl DirectorySource {
    /// Reads the directory and begins to watch it. Blocks until everything was read; every object that
    /// counts is in the answer.
    ///
    /// # Errors
    /// Only when there is no directory to read. Files that are no good are [`problems`](Self::problems).
    pub fn open(path: &Path) -> Result<(Self, Vec<Object>), SourceError> {
        let root = std::path::absolute(path).map_err(unusable(path))?;
        std::fs::read_dir(&root).map_err(unusable(path))?;
        let (signals, inbox) = signals::channel();
        // Watched before it is read: a change in between is seen twice, not missed.
        let watcher = watch(&root, signals.clone());
        let mut tree = Tree::new(root);
        if let Err(reason) = &watcher {
            tree.note_unwatched(reason.to_string());
        }
        let first = tree.look(&HashSet::new());
        let objects = tree.objects().cloned().collect();

        let (sender, updates) = mpsc::channel(QUEUE);
        thread::Builder::new()
            .name("inventory".to_owned())
            .spawn(move || keep_looking(tree, watcher.ok(), &inbox, &sender))
            .map_err(SourceError::Thread)?;
        let problems = first.problems.unwrap_or_default();
        Ok((
            Self {
                updates,
                problems,
                signals,
            },
            objects,
        ))
    }

    /// Waits until objects or [`problems`](Self::problems) change. The changes of one answer belong together: a
    /// reader that sees only some of them sees a mesh that never was. There are none when only the
    /// problems changed. `None` when the watching thread has died.
    ///
    /// Safe to cancel.
    pub async fn changed(&mut self) -> Option<Vec<Change>> {
        let update = self.updates.recv().await?;
        if let Some(problems) = update.problems {
            self.problems = problems;
        }
        Some(update.changes)
    }

    /// What is wrong with the directory as of the last [`changed`](Self::changed), sorted.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl Drop for DirectorySource {
    fn drop(&mut self) {
        // A thread that has ended needs no signal.
        let _ = self.signals.send(Signal::Stop);
    }
}

fn unusable(path: &Path) -> impl Fn(io::Error) -> SourceError {
    move |source| SourceError::Directory {
        path: path.to_owned(),
        source,
    }
}

fn watch(root: &Path, signals: signals::Sender<Signal>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let paths = match event {
            Ok(event) if is_change(event.kind) => event.paths,
            Ok(_) => return,
            Err(error) => error.paths,
        };
        // The receiver is gone when the source was dropped.
        let _ = signals.send(Signal::Look(paths));
    })?;
    watcher.watch(root, RecursiveMode::Recursive)?;
    Ok(watcher)
}

/// Reading is no change: it is what this module itself does.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

fn keep_looking(
    mut tree: Tree,
    watcher: Option<RecommendedWatcher>,
    inbox: &signals::Receiver<Signal>,
    updates: &mpsc::Sender<Update>,
) {
    let poll = if watcher.is_some() {
        POLL
    } else {
        POLL_UNWATCHED
    };
    while let Some(touched) = next_look(inbox, poll) {
        let update = tree.look(&touched);
        if !update.is_empty() && updates.blocking_send(update).is_err() {
            return;
        }
    }
}

/// Waits until it is time to look; the answer is the paths that were touched. `None` when it is time to stop.
fn next_look(inbox: &signals::Receiver<Signal>, poll: Duration) -> Option<HashSet<PathBuf>> {
    let mut touched = HashSet::new();
    match inbox.recv_timeout(poll) {
        Ok(Signal::Look(paths)) => touched.extend(paths),
        Err(RecvTimeoutError::Timeout) => return Some(touched),
        Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
    }
    let deadline = Instant::now() + BUSY;
    loop {
        let patience = deadline
            .saturating_duration_since(Instant::now())
            .min(QUIET);
        match inbox.recv_timeout(patience) {
            Ok(Signal::Look(paths)) if !patience.is_zero() => touched.extend(paths),
            Ok(Signal::Look(paths)) => {
                touched.extend(paths);
                return Some(touched);
            }
            Err(RecvTimeoutError::Timeout) => return Some(touched),
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn service(name: &str) -> String {
        format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\n---\n")
    }

    fn open(root: &Path) -> (DirectorySource, Vec<String>) {
        let (source, objects) = DirectorySource::open(root).unwrap();
        let keys = objects
            .iter()
            .map(|object| object.key().to_string())
            .collect();
        (source, keys)
    }

    async fn next(source: &mut DirectorySource) -> Vec<String> {
        let events = tokio::time::timeout(PATIENCE, source.changed()).await;
        let show = |change: &Change| match change {
            Change::Apply(object) => format!("+{}", object.key()),
            Change::Remove(key) => format!("-{key}"),
        };
        events.unwrap().unwrap().iter().map(show).collect()
    }

    #[tokio::test]
    async fn changes_of_files_are_changes_of_objects() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::write(root.join("a.yaml"), service("a") + &service("b")).unwrap();
        let (mut source, objects) = open(root);
        assert_eq!(objects, ["Service shop/a", "Service shop/b"]);

        fs::create_dir_all(root.join("new/below")).unwrap();
        fs::write(root.join("new/below/c.yaml"), service("c")).unwrap();
        assert_eq!(next(&mut source).await, ["+Service shop/c"]);

        fs::write(root.join("new/below/c.yaml"), service("d")).unwrap();
        assert_eq!(
            next(&mut source).await,
            ["-Service shop/c", "+Service shop/d"]
        );

        fs::remove_file(root.join("a.yaml")).unwrap();
        assert_eq!(
            next(&mut source).await,
            ["-Service shop/a", "-Service shop/b"]
        );
    }

    #[tokio::test]
    async fn a_broken_file_keeps_its_objects() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.yaml");
        fs::write(&path, service("a")).unwrap();
        let (mut source, _) = open(root.path());
        assert!(source.problems().is_empty());

        fs::write(&path, "kind: [").unwrap();
        assert!(next(&mut source).await.is_empty());
        assert!(matches!(source.problems(), [Problem::Malformed { .. }]));

        fs::write(&path, service("b")).unwrap();
        assert_eq!(
            next(&mut source).await,
            ["-Service shop/a", "+Service shop/b"]
        );
        assert!(source.problems().is_empty());
    }

    #[test]
    fn what_is_no_directory_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("a.yaml");
        fs::write(&file, "").unwrap();
        for path in [file, root.path().join("missing")] {
            let refused = DirectorySource::open(&path).err().unwrap();
            assert!(refused.to_string().contains(&path.display().to_string()));
        }
    }

    #[test]
    fn a_busy_directory_is_looked_at_all_the_same() {
        let (sender, inbox) = signals::channel();
        let busy = thread::spawn(move || {
            let path = PathBuf::from("a.yaml");
            while sender.send(Signal::Look(vec![path.clone()])).is_ok() {
                thread::yield_now();
            }
        });
        assert!(
            next_look(&inbox, POLL)
                .unwrap()
                .contains(Path::new("a.yaml"))
        );
        drop(inbox);
        busy.join().unwrap();
    }
}
