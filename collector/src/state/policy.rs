//! Says what every sidecar sees and who may be lazy.

use std::collections::BTreeSet;

use lazymesh_core::Visibility;

/// What is configured or switched, and not in the mesh.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    /// What every sidecar sees.
    pub(crate) visibility: Visibility,
    /// Whether all of lazymesh is switched off: it answers, but has no Sidecars.
    pub(crate) off: bool,
    pub(crate) filters: Filters,
}

/// The namespaces that a filter has called from, and whether that matters.
///
/// A small scope without a filter breaks what a workload calls. Whether sidecars can fetch the module, run it and
/// reach the collector shows only when one of them says so: until then a namespace keeps its full scope, so that a
/// wrong image or an unreachable registry costs laziness and nothing else.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    required: bool,
    seen: BTreeSet<String>,
}

impl Filters {
    /// No namespace may be lazy before a filter has called from it.
    pub(crate) fn required() -> Self {
        Self {
            required: true,
            seen: BTreeSet::new(),
        }
    }

    /// Whether a namespace may be lazy.
    pub(crate) fn admit(&self, namespace: &str) -> bool {
        !self.required || self.seen.contains(namespace)
    }

    /// Notes that a filter has called from a namespace; whether that is new.
    pub(crate) fn see(&mut self, namespace: &str) -> bool {
        self.seen.insert(namespace.to_owned())
    }
}
