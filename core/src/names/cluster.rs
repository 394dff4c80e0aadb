//! Names a cluster of the mesh.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::error::NameError;

/// What Istio calls a cluster that nobody has named.
const DEFAULT: &str = "Kubernetes";
/// Longest ID, in bytes.
const MAX_BYTES: usize = 253;

/// The ID of a cluster, which proxies have in their node metadata as `CLUSTER_ID`.
///
/// Addresses, pods, endpoints and Services are those of one cluster: another may have the same. Namespaces, and so
/// workloads and egress hosts, are the same in all clusters of a mesh.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(Arc<str>);

impl ClusterId {
    /// The ID as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ClusterId {
    fn default() -> Self {
        Self(DEFAULT.into())
    }
}

impl FromStr for ClusterId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let fits = (1..=MAX_BYTES).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.into()))
        } else {
            Err(NameError::Cluster)
        }
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_istio_takes_in_practice() {
        let check = |text: &str, expect: bool| {
            assert_eq!(text.parse::<ClusterId>().is_ok(), expect, "{text:?}");
        };
        check("Kubernetes", true);
        check("gke_project_europe-west1_main", true);
        check(&"a".repeat(253), true);
        check(&"a".repeat(254), false);
        check("", false);
        check("a b", false);
        check("a\n", false);
        check("é", false);
    }
}
