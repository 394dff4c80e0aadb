//! Names a workload, as Istio names a canonical service.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use super::dns;
use super::error::NameError;

/// A namespace and a canonical name (pod label `service.istio.io/canonical-name`).
///
/// The canonical name is the value of a label, so it may have upper case, `_` and `.`, which names of objects may not.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Workload {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Canonical name.
    pub name: String,
}

impl Workload {
    /// A workload whose names Kubernetes could have.
    ///
    /// # Errors
    /// [`NameError::Namespace`] or [`NameError::Workload`].
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Result<Self, NameError> {
        let (namespace, name) = (namespace.into(), name.into());
        dns::check_namespace(&namespace)?;
        if !dns::is_label_value(&name) {
            return Err(NameError::Workload);
        }
        Ok(Self { namespace, name })
    }

    /// What comes before all workloads of a namespace, and behind those of the namespaces before.
    #[must_use]
    pub fn before_all_of(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: String::new(),
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for Workload {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (namespace, name) = text.split_once('/').ok_or(NameError::Form)?;
        Self::new(namespace, name)
    }
}

impl<'de> Deserialize<'de> for Workload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields {
            namespace: String,
            name: String,
        }
        let fields = Fields::deserialize(deserializer)?;
        Self::new(fields.namespace, fields.name).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_workloads() {
        let check = |text: &str, expect: Result<&str, NameError>| {
            let found = text
                .parse::<Workload>()
                .map(|workload| workload.to_string());
            assert_eq!(found, expect.map(str::to_owned), "{text}");
        };
        check("shop/cart", Ok("shop/cart"));
        check("shop/My_App.v1", Ok("shop/My_App.v1"));
        check("cart", Err(NameError::Form));
        check("shop/", Err(NameError::Workload));
        check("shop/../etc", Err(NameError::Workload));
        check("/cart", Err(NameError::Namespace));
        check("a.b/cart", Err(NameError::Namespace));
    }
}
