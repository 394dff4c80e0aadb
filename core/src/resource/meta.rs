//! Reads what objects of all kinds have in common.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::names::ClusterId;

/// `metadata`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// The cluster it was read from.
    #[serde(skip)]
    pub cluster: ClusterId,
    /// Name.
    pub name: String,
    /// Namespace; empty for a Namespace.
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
    /// Labels.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// The annotations that lazymesh reads.
    #[serde(deserialize_with = "or_default")]
    pub annotations: Annotations,
    /// What made it.
    #[serde(deserialize_with = "or_default")]
    pub owner_references: Vec<OwnerReference>,
    /// RFC 3339, as the API server wrote it, so that text order is time order. Empty in a manifest.
    #[serde(deserialize_with = "or_default")]
    pub creation_timestamp: String,
}

/// One of what made an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct OwnerReference {
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Whether it keeps the object as it should be; at most one does.
    #[serde(deserialize_with = "or_default")]
    pub controller: bool,
}

/// The annotations that lazymesh reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Annotations {
    /// Namespaces that may see a Service, separated by commas.
    #[serde(rename = "networking.istio.io/exportTo")]
    pub export_to: Option<String>,
}

/// Labels that an object's pods must all have. An empty one matches every pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Selector {
    /// The labels. Istio's two spellings of the field, `labels` and `matchLabels`, are both read.
    #[serde(alias = "matchLabels", deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
}

impl Selector {
    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// The API server writes `null` where a list or map is empty.
pub(super) fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
