//! Keeps the collector's knowledge as Kubernetes says it is, and asks for what that changes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lazymesh_core::{Inventory, Kind, Visibility};
use tokio::sync::watch;

use super::attach::Wanted;
use super::source::{KubernetesSource, Update};
use crate::agenda::Target;
use crate::collector::{Collector, Knowledge};
use crate::directory::Event;

/// Shortest time between two looks. The first change of many goes at once, the others together.
const PACE: Duration = Duration::from_millis(50);

/// Carries what the source says into the collector.
pub(crate) struct Follower {
    pub(super) collector: Arc<Collector>,
    pub(super) source: KubernetesSource,
    /// What is visible whatever the mesh looks like.
    pub(super) base: Visibility,
    /// What the attachment follows from; nobody may be there to follow it.
    pub(super) attachment: watch::Sender<Wanted>,
    /// Whether the anchor is ours to keep in step with the mesh.
    pub(super) attaches: bool,
    pub(super) was_off: bool,
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
            Update::Whole { mesh, objects } => {
                let before = self.collector.targets();
                let count = objects.len();
                self.change(|knowledge| {
                    knowledge.inventory = Inventory::new(mesh);
                    for object in objects {
                        knowledge.inventory.apply(object);
                    }
                    (count, true)
                });
                tracing::info!(objects = count, "inventory synced");
                self.publish_all(before, true);
                self.collector.readiness.inventory(Ok(()));
                true
            }
            Update::Changes(events) => {
                let before = self.collector.targets();
                let changed = self.change(|knowledge| apply(&mut knowledge.inventory, events));
                self.collector
                    .metrics
                    .inventory_changes
                    .inc_by(changed as u64);
                self.publish_all(before, false);
                false
            }
        }
    }

    /// Makes a change, and what follows from it for every Sidecar, in one: no plan sees half of it.
    fn change(&mut self, change: impl FnOnce(&mut Knowledge) -> (usize, bool)) -> usize {
        let off = self.source.is_off();
        let (changed, wanted) = self.collector.change(|knowledge| {
            let (changed, hosts_may_differ) = change(knowledge);
            knowledge.off = off;
            let wanted = hosts_may_differ.then(|| self.settle(knowledge));
            (changed, wanted)
        });
        self.attachment.send_if_modified(|told| {
            let wanted = wanted.unwrap_or_else(|| told.clone());
            let wanted = Wanted { off, ..wanted };
            let differs = *told != wanted;
            *told = wanted;
            differs
        });
        changed
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
        always.extend(inventory.tcp_hosts());
        knowledge.visibility = Visibility { always };
        Wanted {
            http_ports,
            root_namespace: inventory.mesh().root_namespace.clone(),
            off: false,
        }
    }

    /// Has every Sidecar planned again: what is as it should be is not written. `before`: what is gone now may
    /// have one to withdraw. `anew`: so may what an earlier collector knew.
    fn publish_all(&mut self, before: Vec<Target>, anew: bool) {
        let queue = &self.collector.queue;
        queue.add(before);
        queue.add(self.collector.targets());
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

/// How many objects differ, and whether Services or ServiceEntries are among them. Without any events it is the
/// mesh's configuration that differs.
fn apply(inventory: &mut Inventory, events: Vec<Event>) -> (usize, bool) {
    let mut hosts_may_differ = events.is_empty();
    let mut changed = 0;
    for event in events {
        let kind = match &event {
            Event::Apply(object) => object.key().kind,
            Event::Remove(key) => key.kind,
        };
        let differs = match event {
            Event::Apply(object) => inventory.apply(object),
            Event::Remove(key) => inventory.remove(&key),
        };
        changed += usize::from(differs);
        hosts_may_differ |= differs && matches!(kind, Kind::Service | Kind::ServiceEntry);
    }
    (changed, hosts_may_differ)
}
