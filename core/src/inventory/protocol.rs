//! Reads what Istio takes a port to speak (`ConvertProtocol` in its `pkg/config/kube`).

/// Ports that Istio never sniffs: the server speaks first there.
const SERVER_FIRST: [u16; 4] = [25, 53, 3306, 27017];

/// What is spoken on a TCP port, as far as it decides which listener Istio makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Some version of HTTP.
    Http,
    /// HTTP, and nothing else gets through: Istio's `http_proxy`.
    HttpProxy,
    /// Istio finds out, connection by connection; it may be HTTP.
    Detected,
    /// TLS that the application speaks itself: the client is the first to say something.
    Tls,
    /// Anything else; the server may be the first.
    Tcp,
    /// Mongo and MySQL: as `Tcp`, and no other protocol gets into their listener.
    Exclusive,
}

impl Protocol {
    /// Of a Service's port: `appProtocol` says it, else the name up to the first `-`. None where that is UDP, whatever Kubernetes
    /// takes it for: Istio has no listener for it.
    pub(crate) fn of_service(number: u16, name: &str, app_protocol: Option<&str>) -> Option<Self> {
        let said = app_protocol.unwrap_or(name);
        let protocol = match said {
            "kubernetes.io/h2c" | "kubernetes.io/ws" if app_protocol.is_some() => Self::Http,
            "kubernetes.io/wss" if app_protocol.is_some() => Self::Tls,
            _ => Self::parse(said.split_once('-').map_or(said, |(prefix, _)| prefix))?,
        };
        if protocol == Self::Detected && SERVER_FIRST.contains(&number) {
            return Some(Self::Tcp);
        }
        Some(protocol)
    }

    /// Of its name in Istio; an unknown or empty one is left to detection. None for UDP.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "udp" => return None,
            "http" | "http2" | "grpc" | "grpc-web" => Self::Http,
            "http_proxy" => Self::HttpProxy,
            "https" | "tls" => Self::Tls,
            "tcp" | "redis" => Self::Tcp,
            "mongo" | "mysql" => Self::Exclusive,
            _ => Self::Detected,
        })
    }

    /// Whether it is declared to be HTTP.
    pub(crate) fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::HttpProxy)
    }

    /// Whether nobody reads it, so that the server may be the first to speak.
    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::Tcp | Self::Exclusive)
    }

    /// Whether there may be requests on it, so that Istio makes routes for them.
    pub(crate) fn may_be_http(self) -> bool {
        self.is_http() || self == Self::Detected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_speak_what_istio_says() {
        let check = |number, name, app_protocol, expect| {
            let found = Protocol::of_service(number, name, app_protocol);
            assert_eq!(found, Some(expect), "{number} {name:?} {app_protocol:?}");
        };
        assert_eq!(Protocol::of_service(80, "udp-web", None), None);
        check(80, "http", None, Protocol::Http);
        check(80, "HTTP2-web", None, Protocol::Http);
        check(80, "http_proxy", None, Protocol::HttpProxy);
        check(80, "grpc-web", None, Protocol::Http);
        check(80, "grpc-web-2", None, Protocol::Http);
        check(443, "https", None, Protocol::Tls);
        check(80, "tcp-http", None, Protocol::Tcp);
        check(80, "", None, Protocol::Detected);
        check(80, "web", None, Protocol::Detected);
        check(80, "tcp", Some("http"), Protocol::Http);
        check(80, "http", Some("tcp"), Protocol::Tcp);
        check(80, "", Some("kubernetes.io/h2c"), Protocol::Http);
        check(80, "", Some("kubernetes.io/wss"), Protocol::Tls);
        check(80, "http", Some("example.com/own"), Protocol::Detected);
        check(3306, "db", None, Protocol::Tcp);
        check(3306, "http", None, Protocol::Http);
    }
}
