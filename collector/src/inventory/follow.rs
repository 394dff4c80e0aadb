//! Follows an inventory source: takes what it says into the view, and announces whom that affects.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lazymesh_core::{Affected, Change, ClusterId, Inventory, Visibility};
use tokio::sync::watch;

use crate::attach::Desired;
use crate::inventory::source::{Source, Update};
use crate::runtime::metrics::Metrics;
use crate::runtime::readiness::Readiness;
use crate::state::{Event, SharedView, View};

/// Shortest time between two looks. The first change of many goes at once, the others together.
const PACE: Duration = Duration::from_millis(50);

/// Most that `/readyz` tells one by one.
const MOST_TOLD: usize = 10;

/// Carries what a source says into the view.
pub(crate) struct Follower<S> {
    pub(crate) source: S,
    pub(crate) view: Arc<SharedView>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Arc<Readiness>,
    /// The cluster that the source reads.
    pub(crate) cluster: ClusterId,
    /// What is visible whatever the mesh looks like.
    pub(crate) base: Visibility,
    /// Where the attachment hears of the mesh, if there is one to keep in step with it.
    pub(crate) attachment: Option<watch::Sender<Desired>>,
}

impl<S: Source> Follower<S> {
    /// Waits for the whole mesh: only then may anything be published. `None` when the source has ended.
    pub(crate) async fn sync(&mut self) -> Option<()> {
        while !self.step().await? {}
        Some(())
    }

    /// Follows the source until it ends.
    pub(crate) async fn run(mut self) {
        while self.step().await.is_some() {
            tokio::time::sleep(PACE).await;
        }
    }

    /// Takes one update; whether it was a whole mesh.
    async fn step(&mut self) -> Option<bool> {
        match self.source.next().await? {
            Update::Waiting(missing) => {
                tracing::info!(missing, "waiting for the inventory");
                self.readiness.inventory(Err(missing));
                Some(false)
            }
            Update::Mesh { mesh, changes } => {
                let changes = self.in_cluster(changes);
                let (affected, _) = self.change(|inventory| {
                    let mut affected = inventory.set_mesh(mesh);
                    affected.merge(apply(inventory, changes));
                    // Nothing else says that the first mesh is whole.
                    affected.everything = true;
                    affected
                });
                tracing::info!(objects = affected.changed, "inventory synced");
                self.note_unusable();
                self.readiness.inventory(Ok(()));
                self.announce(affected, true);
                Some(true)
            }
            Update::Changes { changes, stirred } => {
                let changes = self.in_cluster(changes);
                let (affected, flipped) = self.change(|inventory| {
                    let mut affected = apply(inventory, changes);
                    affected.everything |= stirred;
                    affected.hosts |= stirred;
                    affected
                });
                if affected.changed > 0 {
                    tracing::debug!(affected.changed, "inventory changed");
                }
                let changed = affected.changed as u64;
                self.metrics.inventory_changes.inc_by(changed);
                let anew = self.source.take_drift() || flipped;
                self.announce(affected, anew);
                // Not before: what can be used now is known by then.
                self.note_unusable();
                Some(false)
            }
        }
    }

    fn in_cluster(&self, changes: Vec<Change>) -> Vec<Change> {
        let changes = changes.into_iter();
        changes.map(|it| it.in_cluster(&self.cluster)).collect()
    }

    /// Makes a change, and what follows from it for every Sidecar, in one: no plan sees half of it. Whether that switched
    /// lazymesh off or on.
    fn change(&mut self, change: impl FnOnce(&mut Inventory) -> Affected) -> (Affected, bool) {
        let off = self.source.is_off();
        let (affected, flipped) = self.view.change(|view| {
            let affected = change(&mut view.inventory);
            let flipped = std::mem::replace(&mut view.policy.off, off) != off;
            if affected.hosts || affected.everything {
                self.make_visible(view);
            }
            (affected, flipped)
        });
        if flipped {
            tracing::warn!(
                off,
                "lazymesh is switched off or on by the label of its own namespace"
            );
        }
        (affected, flipped)
    }

    /// Works out what every sidecar must see, and what the attachment follows from.
    fn make_visible(&self, view: &mut View) {
        let inventory = &view.inventory;
        let mut always: BTreeSet<_> = self.base.always.clone();
        always.extend(self.source.always_visible(inventory));
        if let Some(attachment) = &self.attachment {
            let desired = Desired {
                http_ports: inventory.http_ports(),
                mesh_prefixes: inventory.mesh_prefixes(),
                root_namespace: inventory.mesh().root_namespace.clone(),
                off: view.policy.off,
            };
            attachment.send_if_modified(|told| {
                let differs = *told != desired;
                *told = desired;
                differs
            });
        }
        view.policy.visibility = Visibility {
            always,
            ..self.base
        };
    }

    /// Tells what of the inventory cannot be used.
    fn note_unusable(&self) {
        let mut told = self.source.unusable();
        let gauge = &self.metrics.inventory_unusable;
        gauge.set(i64::try_from(told.len()).unwrap_or(i64::MAX));
        let more = told.len().saturating_sub(MOST_TOLD);
        if more > 0 {
            told.truncate(MOST_TOLD);
            told.push(format!("and {more} more"));
        }
        let what = format!("the inventory is not whole: {}", told.join("; "));
        self.readiness.unusable((!told.is_empty()).then_some(what));
    }

    /// `anew`: what is in place may not be what this collector left there.
    fn announce(&self, affected: Affected, anew: bool) {
        let mut subjects = affected.subjects;
        if affected.everything {
            subjects.extend(self.view.subjects());
        }
        if !subjects.is_empty() {
            self.view.announce(Event::Affected(subjects));
        }
        if anew {
            self.view.announce(Event::Everything);
        }
    }
}

fn apply(inventory: &mut Inventory, changes: Vec<Change>) -> Affected {
    let mut affected = Affected::default();
    for change in changes {
        affected.merge(inventory.apply(change));
    }
    affected
}
