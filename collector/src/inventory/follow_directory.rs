//! Keeps the collector's inventory as its source says it is, and asks for what that changes.

use std::path::Path;
use std::sync::Arc;

use lazymesh_core::{Affected, Change, Object};

use crate::inventory::directory::DirectorySource;
use crate::inventory::directory::Problem;
use crate::inventory::directory::SourceError;
use crate::publish::workqueue::Target;
use crate::state::Collector;

impl Collector {
    /// Takes the first, complete inventory, and asks for every Sidecar. Only now may anything be published.
    pub fn sync_inventory(&self, objects: Vec<Object>) {
        let (objects, services) = self.change(|knowledge| {
            for object in objects {
                knowledge.inventory.apply(object);
            }
            (knowledge.inventory.len(), knowledge.inventory.services())
        });
        tracing::info!(objects, services, "inventory synced");
        self.readiness.inventory(Ok(()));
        self.queue.add(self.targets());
        // After a restart there may be Sidecars that lost their reason in the meantime.
        self.queue.add([Target::Orphans]);
    }

    /// Takes changes that belong together, and has planned again what they can touch.
    pub fn change_inventory(&self, changes: Vec<Change>) {
        let affected = self.change(|knowledge| {
            let mut affected = Affected::default();
            for change in changes {
                affected.merge(knowledge.inventory.apply(change));
            }
            affected
        });
        if affected.changed == 0 {
            return;
        }
        tracing::debug!(affected.changed, "inventory changed");
        let metrics = &self.metrics;
        metrics.inventory_changes.inc_by(affected.changed as u64);
        self.queue.add(self.look().affected(affected));
    }
}

/// Reads a directory of manifests; blocks until all of it was read.
pub(crate) fn open(path: &Path) -> Result<(DirectorySource, Vec<Object>), SourceError> {
    let (source, objects) = DirectorySource::open(path)?;
    tell(source.problems(), &[]);
    Ok((source, objects))
}

/// Follows the source until it dies.
pub(crate) async fn follow(collector: Arc<Collector>, mut source: DirectorySource) {
    loop {
        let known = source.problems().to_vec();
        let Some(changes) = source.changed().await else {
            return;
        };
        tell(source.problems(), &known);
        collector.change_inventory(changes);
    }
}

fn tell(problems: &[Problem], known: &[Problem]) {
    for problem in problems.iter().filter(|problem| !known.contains(problem)) {
        tracing::warn!(%problem, "inventory");
    }
}
