//! Namespaces in which a filter has been heard.
//!
//! A small scope without a filter breaks what a workload calls. Whether sidecars can fetch the module, run it and
//! reach the collector shows only when one of them says so: until then a namespace keeps its full scope, so that a
//! wrong image or an unreachable registry costs laziness and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use lazymesh_core::{Mode, Plan, Workload};

use crate::state::{Collector, Knowledge};

/// What has been heard, and whether that matters.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    required: bool,
    namespaces: BTreeSet<String>,
}

impl Heard {
    /// No namespace may be lazy until it is heard.
    pub(crate) fn required() -> Self {
        Self {
            required: true,
            namespaces: BTreeSet::new(),
        }
    }

    /// Whether a namespace may be lazy.
    fn admits(&self, namespace: &str) -> bool {
        !self.required || self.namespaces.contains(namespace)
    }
}

impl Knowledge {
    /// How many namespaces would be lazy if a filter were heard there.
    pub(crate) fn namespaces_waiting(&self) -> usize {
        let inventory = &self.inventory;
        let waits = |namespace: &&str| {
            !self.heard.admits(namespace) && inventory.namespace_mode(namespace) == Mode::Enforce
        };
        inventory.namespaces().filter(waits).count()
    }

    /// Whether a workload would be lazy if a filter were heard in its namespace.
    pub(crate) fn waits_for_filter(&self, workload: &Workload) -> bool {
        !self.off
            && !self.heard.admits(&workload.namespace)
            && self.inventory.mode(workload) == Mode::Enforce
    }

    /// The plan, unless it has to wait for a filter.
    pub(crate) fn heed(&self, plan: Plan) -> Plan {
        match plan {
            Plan::Publish(sidecar) if !self.heard.admits(&sidecar.namespace) => Plan::NotEnforced,
            plan => plan,
        }
    }
}

impl Collector {
    /// A filter has called from this namespace.
    pub(crate) fn hear(self: &Arc<Self>, namespace: &str) {
        if self.look().heard.admits(namespace) {
            return;
        }
        let is_new = self.change(|knowledge| {
            // Only what exists, so that the set is bounded.
            knowledge
                .inventory
                .namespaces()
                .any(|known| known == namespace)
                && knowledge.heard.namespaces.insert(namespace.to_owned())
        });
        if is_new {
            tracing::info!(namespace, "a filter was heard; the namespace may be lazy");
            let targets = self.targets().into_iter();
            self.queue
                .add(targets.filter(|target| target.namespace() == Some(namespace)));
        }
    }

    /// These namespaces have Sidecars of ours, so an earlier collector has heard a filter there.
    pub(crate) fn heard_before<'a>(&self, namespaces: impl Iterator<Item = &'a str>) {
        self.change(|knowledge| {
            let namespaces = namespaces.map(ToOwned::to_owned);
            knowledge.heard.namespaces.extend(namespaces);
        });
    }
}
