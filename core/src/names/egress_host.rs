//! Names an egress host, as a Sidecar imports it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::dns;
use super::error::NameError;

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
        dns::check_namespace(&namespace)?;
        let name = host.strip_prefix("*.").unwrap_or(&host);
        // Istio takes a dot at the end, and then for another host.
        if !dns::is_fqdn(name.strip_suffix('.').unwrap_or(name)) {
            return Err(NameError::Host);
        }
        Ok(Self { namespace, host })
    }

    /// The host as it is looked up.
    pub(crate) fn key(&self) -> String {
        self.host.to_ascii_lowercase()
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
        check("shop/a.example.com.", Ok("shop/a.example.com."));
        check("shop/a.example.com..", Err(NameError::Host));
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
}
