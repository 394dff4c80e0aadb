//! What a request or a connection is about: the key of decisions, callouts and counts.

use lazymesh_protocol::{MAX_AUTHORITY_BYTES, Protocol, Report, ResolveRequest, Source};

use crate::client_hello::ClientHello;
use crate::host::Host;

/// One unresolved host, as one application names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Question {
    /// Lower case, so that spellings of one host share one callout; a host name has no case.
    pub(crate) authority: Option<String>,
    /// `IP:port` that the application dialled.
    pub(crate) destination: Option<String>,
    pub(crate) protocol: Protocol,
}

impl Question {
    /// What the selected request is about; `None` when it is nothing that could be the name of a host.
    pub(crate) fn of(host: &impl Host) -> Option<Self> {
        let authority = match host.request_header(":authority") {
            Some(bytes) if !bytes.is_empty() => Some(authority(bytes)?),
            _ => None,
        };
        Self::new(authority, destination(host), Protocol::Http)
    }

    /// What the selected connection is about before anything has come of it: by what was dialled, and by the server's name
    /// where a listener filter has waited for it.
    pub(crate) fn of_connection(host: &impl Host, destination: Option<String>) -> Option<Self> {
        let name = host.property(&["connection", "requested_server_name"]);
        let authority = name.filter(|name| !name.is_empty()).and_then(authority);
        let protocol = match authority {
            Some(_) => Protocol::Tls,
            None => Protocol::Tcp,
        };
        Self::new(authority, destination, protocol)
    }

    /// What a connection is about, by its first bytes.
    pub(crate) fn of_first_bytes(destination: Option<String>, bytes: &[u8]) -> Option<Self> {
        let (authority, protocol) = match ClientHello::read(bytes) {
            ClientHello::Tls(name) => (name.and_then(|name| authority(name.into())), Protocol::Tls),
            ClientHello::Other => (None, Protocol::Tcp),
        };
        Self::new(authority, destination, protocol)
    }

    fn new(
        authority: Option<String>,
        destination: Option<String>,
        protocol: Protocol,
    ) -> Option<Self> {
        if authority.is_none() && destination.is_none() {
            return None;
        }
        Some(Self {
            authority,
            destination,
            protocol,
        })
    }

    /// The message that asks it.
    pub(crate) fn ask(&self, source: &Source) -> ResolveRequest {
        ResolveRequest {
            source: source.clone(),
            authority: self.authority.clone(),
            destination: self.destination.clone(),
            protocol: self.protocol,
        }
    }

    /// The message that counts it.
    pub(crate) fn report(&self, count: u64) -> Report {
        Report {
            authority: self.authority.clone(),
            destination: self.destination.clone(),
            protocol: self.protocol,
            count,
        }
    }
}

/// `IP:port` that the application dialled, as the proxy knows it.
pub(crate) fn destination(host: &impl Host) -> Option<String> {
    host.property(&["destination", "address"])
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|text| !text.is_empty() && text.len() <= MAX_AUTHORITY_BYTES)
}

/// Whatever is longer than a host name or has bytes that none has is not worth the collector's time.
fn authority(bytes: Vec<u8>) -> Option<String> {
    if bytes.len() > MAX_AUTHORITY_BYTES || !bytes.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    String::from_utf8(bytes)
        .ok()
        .map(|text| text.to_ascii_lowercase())
}
