use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Label of namespaces and pods that says what lazymesh does for them.
pub const MODE_LABEL: &str = "lazymesh.io/mode";

/// What lazymesh does for a workload: label `lazymesh.io/mode` of its namespace, overridden by its pods'.
///
/// Ordered from the boldest to the most careful: where the pods of a workload disagree, as in the middle of a
/// roll-out, the greatest holds, since one Sidecar scopes them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Its Sidecar is published.
    Enforce,
    /// Its dependencies are learned, its scope is left alone.
    Learn,
    /// Nothing. The mode of whatever has no label.
    Off,
}

impl Mode {
    /// What the label asks for; an unknown value is no label.
    pub(crate) fn of(labels: &BTreeMap<String, String>) -> Option<Self> {
        match labels.get(MODE_LABEL)?.as_str() {
            "enforce" => Some(Self::Enforce),
            "learn" => Some(Self::Learn),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}
