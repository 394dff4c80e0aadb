//! Reads what lazymesh is to do for a workload.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Label of namespaces and pods that says what lazymesh does for them.
pub const MODE_LABEL: &str = "lazymesh.io/mode";

/// What lazymesh does for a workload: label `lazymesh.io/mode` of its namespace, overridden by its pods'.
///
/// Ordered from the boldest to the most careful: where the pods of a workload disagree, as in the middle of a
/// roll-out, the greatest holds, since one Sidecar scopes them all.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Its dependencies are recorded, and its Sidecar is published.
    Enforce,
    /// Its dependencies are recorded, its scope is left alone.
    #[default]
    Learn,
    /// Nothing of it is recorded, its scope is left alone.
    Off,
}

impl Mode {
    /// What the label asks for; an unknown value is not a label.
    pub(crate) fn of(labels: &BTreeMap<String, String>) -> Option<Self> {
        labels.get(MODE_LABEL)?.parse().ok()
    }
}

/// The text is not a mode.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected enforce, learn or off, got {0:?}")]
pub struct ModeError(String);

impl FromStr for Mode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        match text {
            "enforce" => Ok(Self::Enforce),
            "learn" => Ok(Self::Learn),
            "off" => Ok(Self::Off),
            _ => Err(ModeError(text.to_owned())),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Enforce => "enforce",
            Self::Learn => "learn",
            Self::Off => "off",
        })
    }
}
