//! Reads what Istio takes a port to speak (`ConvertProtocol` in its `pkg/config/kube`).

/// Ports that Istio never sniffs: the server speaks first there.
const SERVER_FIRST: [u16; 4] = [25, 53, 3306, 27017];

/// What is spoken on a TCP port, as far as it decides which listener Istio makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Some version of HTTP.
    Http,
    /// Istio finds out, connection by connection; it may be HTTP.
    Detected,
    /// Anything else, TLS included.
    Tcp,
}

impl Protocol {
    /// Of a Service's port: `appProtocol` says it, else the name up to the first `-`.
    pub(crate) fn of_service(number: u16, name: &str, app_protocol: Option<&str>) -> Self {
        let said = app_protocol.unwrap_or(name);
        let protocol = match said {
            "kubernetes.io/h2c" | "kubernetes.io/ws" if app_protocol.is_some() => Self::Http,
            "kubernetes.io/wss" if app_protocol.is_some() => Self::Tcp,
            _ => Self::parse(said.split_once('-').map_or(said, |(prefix, _)| prefix)),
        };
        if protocol == Self::Detected && SERVER_FIRST.contains(&number) {
            return Self::Tcp;
        }
        protocol
    }

    /// Of its name in Istio; an unknown or empty one is left to detection.
    pub(crate) fn parse(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "http" | "http2" | "http_proxy" | "grpc" | "grpc-web" => Self::Http,
            "tcp" | "https" | "tls" | "mongo" | "redis" | "mysql" => Self::Tcp,
            _ => Self::Detected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_speak_what_istio_says() {
        let check = |number, name, app_protocol, expect| {
            let found = Protocol::of_service(number, name, app_protocol);
            assert_eq!(found, expect, "{number} {name:?} {app_protocol:?}");
        };
        check(80, "http", None, Protocol::Http);
        check(80, "HTTP2-web", None, Protocol::Http);
        check(80, "grpc-web", None, Protocol::Http);
        check(80, "grpc-web-2", None, Protocol::Http);
        check(443, "https", None, Protocol::Tcp);
        check(80, "tcp-http", None, Protocol::Tcp);
        check(80, "", None, Protocol::Detected);
        check(80, "web", None, Protocol::Detected);
        check(80, "tcp", Some("http"), Protocol::Http);
        check(80, "http", Some("tcp"), Protocol::Tcp);
        check(80, "", Some("kubernetes.io/h2c"), Protocol::Http);
        check(80, "", Some("kubernetes.io/wss"), Protocol::Tcp);
        check(80, "http", Some("example.com/own"), Protocol::Detected);
        check(3306, "db", None, Protocol::Tcp);
        check(3306, "http", None, Protocol::Http);
    }
}
