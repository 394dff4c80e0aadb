//! Holds what is configured or switched, and not in the mesh.

use std::collections::BTreeSet;

use crate::inventory::Inventory;
use crate::names::{EgressHost, Workload};
use crate::resource::{Mode, Ttl};

use super::Expiry;

/// What is configured or switched, and not in the mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What every sidecar sees.
    pub visibility: Visibility,
    /// Whether all of lazymesh is switched off: it answers and learns, but has no Sidecars.
    pub off: bool,
    /// The mode of namespaces that have no label for it.
    pub default_mode: Mode,
    /// Where a filter has called from.
    pub filters: Filters,
    /// How long dependencies stay that nobody sees.
    pub expiry: Expiry,
}

impl Policy {
    /// A workload's mode.
    #[must_use]
    pub fn mode(&self, inventory: &Inventory, workload: &Workload) -> Mode {
        inventory.mode(workload, self.default_mode)
    }

    /// How long what a workload depends on stays unseen.
    #[must_use]
    pub fn ttl(&self, inventory: &Inventory, workload: &Workload) -> Ttl {
        inventory.ttl(workload, self.expiry.ttl)
    }

    /// A namespace's mode.
    #[must_use]
    pub fn namespace_mode(&self, inventory: &Inventory, namespace: &str) -> Mode {
        inventory
            .namespace_mode(namespace)
            .unwrap_or(self.default_mode)
    }
}

/// What every sidecar must see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visibility {
    /// The collector's host, the port anchors, what the user listed.
    pub always: BTreeSet<EgressHost>,
    /// Whether filters decide requests only, and leave connections that are not HTTP alone. Then hosts that have such ports are always
    /// visible, too.
    pub http_only: bool,
}

/// Where filters call from, and whether that matters.
///
/// A small scope without a filter breaks what a workload calls. Whether sidecars can fetch the module, run it and
/// reach the collector shows only when one of them says so: until then a namespace keeps its full scope, so that a
/// wrong image or an unreachable registry costs laziness and nothing else. A workload whose filters say nothing any more
/// gets its full scope back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    required: bool,
    seen: BTreeSet<String>,
    silent: BTreeSet<Workload>,
}

impl Filters {
    /// No namespace may be lazy before a filter has called from it.
    #[must_use]
    pub fn required() -> Self {
        Self {
            required: true,
            ..Self::default()
        }
    }

    /// Whether nothing may be lazy without a filter.
    #[must_use]
    pub fn are_required(&self) -> bool {
        self.required
    }

    /// Whether a namespace may be lazy.
    #[must_use]
    pub fn admit(&self, namespace: &str) -> bool {
        !self.required || self.seen.contains(namespace)
    }

    /// Notes that a filter has called from a namespace; whether that is new.
    pub fn see(&mut self, namespace: &str) -> bool {
        self.seen.insert(namespace.to_owned())
    }

    /// The workloads whose filters have called, and do no more.
    #[must_use]
    pub fn silent(&self) -> &BTreeSet<Workload> {
        &self.silent
    }

    /// Sets the workloads whose filters are silent; for whom that is new, or over.
    pub fn set_silent(&mut self, silent: BTreeSet<Workload>) -> BTreeSet<Workload> {
        let before = std::mem::replace(&mut self.silent, silent);
        &before ^ &self.silent
    }
}
