//! Holds what is configured or switched, and not in the mesh.

use std::collections::{BTreeMap, BTreeSet};

use crate::inventory::Inventory;
use crate::names::{EgressHost, Workload};
use crate::resource::{Mode, Ttl};

use super::{Bounds, Expiry, Revert};

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
    /// How much may go wrong in a canary.
    pub bounds: Bounds,
    /// The canaries that failed, by namespace. One counts as long as the namespace's label says the number that failed.
    pub reverts: BTreeMap<String, Revert>,
}

impl Policy {
    /// A workload's mode. In a canary those learn that are not admitted yet, and all once it has failed.
    #[must_use]
    pub fn mode(&self, inventory: &Inventory, workload: &Workload) -> Mode {
        let namespace = workload.namespace.as_str();
        let labelled = self.labelled(inventory, namespace);
        let canary = inventory.canary(namespace);
        let inherited = match canary.is_none_or(|it| it.admits(workload)) {
            true => labelled,
            false => labelled.max(Mode::Learn),
        };
        let mode = inventory.mode(workload, inherited);
        match self.revert(inventory, namespace) {
            Some(_) => mode.max(Mode::Learn),
            None => mode,
        }
    }

    /// The mode that labels of pods and namespace ask for, were there no canaries.
    pub(super) fn asked(&self, inventory: &Inventory, workload: &Workload) -> Mode {
        let labelled = self.labelled(inventory, &workload.namespace);
        inventory.mode(workload, labelled)
    }

    /// Why a namespace's canary was reverted, if it was.
    #[must_use]
    pub fn revert(&self, inventory: &Inventory, namespace: &str) -> Option<&Revert> {
        let percent = inventory.canary(namespace)?.percent();
        let revert = self.reverts.get(namespace)?;
        (revert.percent == percent).then_some(revert)
    }

    /// Whether a workload is enforced as part of a canary.
    #[must_use]
    pub fn is_canary(&self, inventory: &Inventory, workload: &Workload) -> bool {
        inventory.canary(&workload.namespace).is_some()
            && self.mode(inventory, workload) == Mode::Enforce
    }

    /// How long what a workload depends on stays unseen.
    #[must_use]
    pub fn ttl(&self, inventory: &Inventory, workload: &Workload) -> Ttl {
        inventory.ttl(workload, self.expiry.ttl)
    }

    /// A namespace's mode: that of its default, which comes last, when all of a canary is enforced.
    #[must_use]
    pub fn namespace_mode(&self, inventory: &Inventory, namespace: &str) -> Mode {
        let labelled = self.labelled(inventory, namespace);
        let canary = inventory.canary(namespace);
        let is_whole = canary.is_none_or(|it| it.percent() == 100);
        match is_whole && self.revert(inventory, namespace).is_none() {
            true => labelled,
            false => labelled.max(Mode::Learn),
        }
    }

    /// What a namespace's own label asks for, or the default.
    pub(super) fn labelled(&self, inventory: &Inventory, namespace: &str) -> Mode {
        let labelled = inventory.namespace_mode(namespace);
        labelled.unwrap_or(self.default_mode)
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
