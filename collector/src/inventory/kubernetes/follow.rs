//! Keeps the collector's knowledge as Kubernetes says it is, and asks for what that changes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lazymesh_core::{Affected, Change, Inventory, Visibility};
use tokio::sync::watch;

use crate::attach::Wanted;
use crate::inventory::kubernetes::source::{KubernetesSource, Update};
use crate::publish::workqueue::Target;
use crate::state::{Collector, Knowledge};

/// Shortest time between two looks. The first change of many goes at once, the others together.
const PACE: Duration = Duration::from_millis(50);

/// Carries what the source says into the collector.
pub(crate) struct Follower {
    pub(crate) collector: Arc<Collector>,
    pub(crate) source: KubernetesSource,
    /// What is visible whatever the mesh looks like.
    pub(crate) base: Visibility,
    /// What the attachment follows from; nobody may be there to follow it.
    pub(crate) attachment: watch::Sender<Wanted>,
    /// Whether the anchor is ours to keep in step with the mesh.
    pub(crate) attaches: bool,
    pub(crate) was_off: bool,
}

impl Follower {
    /// Waits for the whole mesh. Only then may anything be published.
    pub(crate) async fn sync(&mut self) {
        while !self.step().await {}
    }

    /// Follows the mesh for ever.
    pub(crate) async fn run(mut self) {
        loop {
            self.step().await;
            tokio::time::sleep(PACE).await;
        }
    }

    /// Takes one update; whether it was a whole mesh.
    async fn step(&mut self) -> bool {
        match self.source.next().await {
            Update::Waiting(missing) => {
                tracing::info!(missing, "waiting for Kubernetes");
                self.collector.readiness.inventory(Err(missing));
                false
            }
            Update::Mesh { mesh, changes } => {
                let affected = self.change(|inventory| {
                    let mut affected = inventory.set_mesh(mesh);
                    affected.merge(apply(inventory, changes));
                    // Nothing else says that the first mesh is whole.
                    affected.everything = true;
                    affected
                });
                tracing::info!(objects = affected.changed, "inventory synced");
                self.publish(affected, true);
                self.collector.readiness.inventory(Ok(()));
                true
            }
            Update::Changes { changes, stirred } => {
                let affected = self.change(|inventory| {
                    let mut affected = apply(inventory, changes);
                    affected.everything |= stirred;
                    affected.hosts |= stirred;
                    affected
                });
                let metrics = &self.collector.metrics;
                metrics.inventory_changes.inc_by(affected.changed as u64);
                self.publish(affected, false);
                false
            }
        }
    }

    /// Makes a change, and what follows from it for every Sidecar, in one: no plan sees half of it.
    fn change(&mut self, change: impl FnOnce(&mut Inventory) -> Affected) -> Affected {
        let off = self.source.is_off();
        let (affected, wanted) = self.collector.change(|knowledge| {
            let affected = change(&mut knowledge.inventory);
            knowledge.off = off;
            let may_differ = affected.hosts || affected.everything;
            let wanted = may_differ.then(|| self.settle(knowledge));
            (affected, wanted)
        });
        self.attachment.send_if_modified(|told| {
            let wanted = wanted.unwrap_or_else(|| told.clone());
            let wanted = Wanted { off, ..wanted };
            let differs = *told != wanted;
            *told = wanted;
            differs
        });
        affected
    }

    /// Works out what every sidecar must see.
    fn settle(&self, knowledge: &mut Knowledge) -> Wanted {
        let inventory = &knowledge.inventory;
        let http_ports = match self.attaches {
            true => inventory.http_ports(),
            false => BTreeSet::new(),
        };
        let mut always = self.base.always.clone();
        always.extend(self.source.always_visible(inventory));
        knowledge.visibility = Visibility {
            always,
            ..self.base
        };
        Wanted {
            http_ports,
            root_namespace: inventory.mesh().root_namespace.clone(),
            off: false,
        }
    }

    /// Has Sidecars planned again: what is as it should be is not written. `anew`: what an earlier collector knew may
    /// have one to withdraw.
    fn publish(&mut self, affected: Affected, anew: bool) {
        let queue = &self.collector.queue;
        queue.add(self.collector.look().affected(affected));
        let off = self.source.is_off();
        if self.was_off != off {
            tracing::warn!(
                off,
                "lazymesh is switched off or on by the label of its own namespace"
            );
        }
        let flipped = std::mem::replace(&mut self.was_off, off) != off;
        if anew || flipped || self.source.take_drift() {
            queue.add([Target::Orphans]);
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
