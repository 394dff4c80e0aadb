//! Reads what Istio takes a port to speak.

use crate::bench::corpus::Port;

/// Ports that Istio takes for TCP where nobody says what they speak.
const SERVER_FIRST: [u16; 4] = [25, 53, 3306, 27017];

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    Http,
    Grpc,
    /// Istio finds out.
    Detected,
    Tls,
    Tcp,
    Udp,
}

impl Spoken {
    pub(super) fn on(port: &Port) -> Self {
        if port.protocol.as_deref() == Some("UDP") {
            return Self::Udp;
        }
        let name = port.name.as_deref().unwrap_or_default();
        let said = port.app_protocol.as_deref().unwrap_or(name);
        match said.split('-').next().unwrap_or(said) {
            "http" | "http2" => Self::Http,
            "grpc" => Self::Grpc,
            "https" | "tls" => Self::Tls,
            "tcp" | "redis" | "mongo" | "mysql" => Self::Tcp,
            "udp" => Self::Udp,
            _ if SERVER_FIRST.contains(&port.number) => Self::Tcp,
            _ => Self::Detected,
        }
    }

    /// Whether requests are told apart there, or may be.
    pub(super) fn takes_requests(self) -> bool {
        matches!(self, Self::Http | Self::Grpc | Self::Detected)
    }
}
