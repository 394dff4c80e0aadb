use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use lazymesh_core::{Question, Workload};
use lazymesh_protocol::{Protocol, Source};
use serde::{Deserialize, Serialize};

/// What a call speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaks {
    /// HTTP in plain text.
    Http,
    /// Bytes that nobody reads.
    Tcp,
    /// TLS with the host as SNI.
    Tls,
}

/// One request or connection of the workload's application.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// What is dialled.
    pub destination: SocketAddr,
    /// Authority or SNI; empty where there is none.
    pub host: String,
    /// What it speaks.
    pub speaks: Speaks,
    /// Path of a request.
    pub path: String,
    /// Headers of a request.
    pub headers: BTreeMap<String, String>,
    /// Whether what is dialled is known not to be an address of the host.
    pub is_elsewhere: bool,
}

impl Call {
    /// A request for `/`, or a connection.
    #[must_use]
    pub fn new(speaks: Speaks, host: &str, destination: SocketAddr) -> Self {
        Self {
            destination,
            host: host.to_owned(),
            speaks,
            path: "/".to_owned(),
            headers: BTreeMap::new(),
            is_elsewhere: false,
        }
    }

    /// One to an address that is not the host's.
    #[must_use]
    pub fn elsewhere(self) -> Self {
        Self {
            is_elsewhere: true,
            ..self
        }
    }

    /// The host, or the address where there is none.
    pub(super) fn name(&self) -> String {
        if self.host.is_empty() {
            return self.destination.ip().to_string();
        }
        self.host.clone()
    }

    /// What the filter would ask about it, or count, where it takes it for this; `None` for an authority that it takes for none.
    pub(super) fn question(&self, source: &Workload, speaks: Speaks) -> Option<Question> {
        let source = Source {
            namespace: source.namespace.clone(),
            workload: source.name.clone(),
            cluster: None,
            service_account: None,
        };
        let protocol = match speaks {
            Speaks::Http => Protocol::Http,
            Speaks::Tcp => Protocol::Tcp,
            Speaks::Tls => Protocol::Tls,
        };
        let is_named = speaks != Speaks::Tcp && !self.host.is_empty();
        let authority = Some(self.host.as_str()).filter(|_| is_named);
        let destination = self.destination.to_string();
        Question::new(&source, authority, Some(&destination), protocol).ok()
    }
}

impl fmt::Display for Call {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let speaks = format!("{:?}", self.speaks).to_lowercase();
        write!(out, "{speaks} {} at {}", self.host, self.destination)?;
        if self.path != "/" {
            write!(out, " {}", self.path)?;
        }
        self.headers
            .iter()
            .try_for_each(|(name, value)| write!(out, " {name}={value}"))
    }
}
