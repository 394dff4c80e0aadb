//! The two names that everything else is keyed by: a workload, and an egress host of a Sidecar.

mod authority;
pub(crate) mod dns;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

pub use self::authority::{Authority, AuthorityError, Host};
pub use self::dns::is_object_name;

/// Why a text is no [`Workload`] or no [`EgressHost`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// The namespace is no DNS label.
    #[error("the namespace is not a DNS label: at most 63 of a-z, 0-9 and inner `-`")]
    Namespace,
    /// The workload's name is no value of a Kubernetes label.
    #[error(
        "the workload is not a label value: at most 63 of A-Z, a-z, 0-9 and inner `-`, `_`, `.`"
    )]
    Workload,
    /// The host is no DNS name that Istio takes.
    #[error("the host is not a DNS name, or one after `*.`")]
    Host,
    /// There is no `/` between namespace and name.
    #[error("not of the form <namespace>/<name>")]
    Form,
}

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
        check_namespace(&namespace)?;
        if !dns::is_label_value(&name) {
            return Err(NameError::Workload);
        }
        Ok(Self { namespace, name })
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

/// One entry of a Sidecar's `egress.hosts`: a service's host and the namespace it lives in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EgressHost {
    /// Namespace of the service, ServiceEntry or VirtualService.
    pub namespace: String,
    /// Its host, in the case its object has it, which is how istiod compares. A name after `*.` is the host of a
    /// ServiceEntry or VirtualService that has this very wildcard.
    pub host: String,
}

impl EgressHost {
    /// An entry that Istio's validation takes.
    ///
    /// # Errors
    /// [`NameError::Namespace`] or [`NameError::Host`].
    pub fn new(namespace: impl Into<String>, host: impl Into<String>) -> Result<Self, NameError> {
        let (namespace, host) = (namespace.into(), host.into());
        check_namespace(&namespace)?;
        if !dns::is_fqdn(host.strip_prefix("*.").unwrap_or(&host)) {
            return Err(NameError::Host);
        }
        Ok(Self { namespace, host })
    }

    /// The host as it is looked up.
    pub(crate) fn key(&self) -> String {
        self.host.to_ascii_lowercase()
    }
}

fn check_namespace(namespace: &str) -> Result<(), NameError> {
    let lower = !namespace.bytes().any(|b| b.is_ascii_uppercase());
    if lower && dns::is_label(namespace) {
        Ok(())
    } else {
        Err(NameError::Namespace)
    }
}

impl fmt::Display for EgressHost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.namespace, self.host)
    }
}

impl FromStr for EgressHost {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (namespace, host) = text.split_once('/').ok_or(NameError::Form)?;
        Self::new(namespace, host)
    }
}

impl Serialize for EgressHost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EgressHost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_egress_hosts() {
        let check = |text: &str, expect: Result<&str, NameError>| {
            let found = text.parse::<EgressHost>().map(|host| host.to_string());
            assert_eq!(found, expect.map(str::to_owned), "{text}");
        };
        check("shop/a.example.com", Ok("shop/a.example.com"));
        check("shop/*.example.com", Ok("shop/*.example.com"));
        check("a.example.com", Err(NameError::Form));
        check("*/a.example.com", Err(NameError::Namespace));
        check("~/a.example.com", Err(NameError::Namespace));
        check("Shop/a", Err(NameError::Namespace));
        check("shop/*", Err(NameError::Host));
        check("shop/a.*.com", Err(NameError::Host));
        check("shop/10.0.0.1", Err(NameError::Host));
        check("shop/a_b.com", Err(NameError::Host));
        check("shop/a/b", Err(NameError::Host));
    }

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
