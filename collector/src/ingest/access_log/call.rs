//! Says what an entry of an access log tells about a call.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use lazymesh_core::{Question, QuestionError};
use lazymesh_protocol::{Protocol, Source};
use prost::{DecodeError, Message};

use super::message::{Common, Entry, SocketAddress};

/// A call, as a stream counts it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Call {
    /// What Envoy took the traffic for.
    pub(crate) protocol: Protocol,
    /// The cluster that it went to; empty where it went to none.
    pub(crate) cluster: String,
    /// Authority or SNI; empty where there was none.
    pub(crate) authority: String,
    /// What the application dialled.
    pub(crate) destination: Option<SocketAddr>,
}

/// Which log an entry stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    /// Of requests.
    Http,
    /// Of connections.
    Tcp,
}

impl Call {
    /// Reads one entry.
    pub(crate) fn read(entry: Bytes, log: Log) -> Result<Self, DecodeError> {
        let entry = Entry::decode(entry)?;
        let Common {
            downstream_local_address,
            tls_properties,
            upstream_cluster,
        } = entry.common_properties.unwrap_or_default();
        let sni = tls_properties.map(|tls| tls.tls_sni_hostname);
        let (protocol, authority) = match log {
            Log::Http => (Protocol::Http, entry.request.map(|it| it.authority)),
            Log::Tcp if sni.as_ref().is_some_and(|sni| !sni.is_empty()) => (Protocol::Tls, sni),
            Log::Tcp => (Protocol::Tcp, None),
        };
        let dialled = downstream_local_address.and_then(|address| address.socket_address);
        Ok(Self {
            protocol,
            cluster: upstream_cluster,
            authority: authority.unwrap_or_default(),
            destination: dialled.and_then(socket),
        })
    }

    /// Whether it left the pod: the entries of inbound listeners say who is called, not who calls.
    pub(crate) fn is_outbound(&self) -> bool {
        !["inbound|", "Inbound"]
            .iter()
            .any(|inbound| self.cluster.starts_with(inbound))
    }

    /// The host of the cluster, where istiod named it: `outbound|port|subset|host`.
    pub(crate) fn host(&self) -> Option<&str> {
        let mut parts = self.cluster.splitn(4, '|');
        let (direction, _port, _subset) = (parts.next()?, parts.next()?, parts.next()?);
        let host = parts.next()?;
        (direction == "outbound" && !host.is_empty()).then_some(host)
    }

    /// What a filter would have asked.
    pub(crate) fn question(&self, source: &Source) -> Result<Question, QuestionError> {
        let authority = Some(self.authority.as_str()).filter(|it| !it.is_empty());
        let destination = self.destination.map(|address| address.to_string());
        Question::new(source, authority, destination.as_deref(), self.protocol)
    }
}

fn socket(address: SocketAddress) -> Option<SocketAddr> {
    let ip: IpAddr = address.address.parse().ok()?;
    let port = u16::try_from(address.port_value)
        .ok()
        .filter(|port| *port > 0)?;
    Some((ip, port).into())
}

#[cfg(test)]
mod tests {
    use super::super::message::{Address, HttpRequest, Tls};
    use super::*;

    fn entry(cluster: &str, authority: Option<&str>, sni: Option<&str>, port: u32) -> Bytes {
        let common = Common {
            upstream_cluster: cluster.to_owned(),
            downstream_local_address: Some(Address {
                socket_address: Some(SocketAddress {
                    address: "10.96.0.1".to_owned(),
                    port_value: port,
                }),
            }),
            tls_properties: sni.map(|sni| Tls {
                tls_sni_hostname: sni.to_owned(),
            }),
        };
        let request = authority.map(|authority| HttpRequest {
            authority: authority.to_owned(),
        });
        let entry = Entry {
            common_properties: Some(common),
            request,
        };
        entry.encode_to_vec().into()
    }

    #[test]
    fn the_host_of_a_cluster_is_the_last_of_four_parts() {
        let check = |cluster: &str, host: Option<&str>, outbound: bool| {
            let call = Call::read(entry(cluster, None, None, 80), Log::Tcp).unwrap();
            assert_eq!(call.host(), host, "{cluster}");
            assert_eq!(call.is_outbound(), outbound, "{cluster}");
        };
        check(
            "outbound|80||a.shop.svc.cluster.local",
            Some("a.shop.svc.cluster.local"),
            true,
        );
        check("outbound|80|v2|a.example.com", Some("a.example.com"), true);
        check("outbound|443||*.example.com", Some("*.example.com"), true);
        check("outbound|80||", None, true);
        check("outbound|80|a", None, true);
        check("PassthroughCluster", None, true);
        check("lazymesh-direct", None, true);
        check("", None, true);
        check("inbound|80||", None, false);
        check("InboundPassthroughCluster", None, false);
    }

    #[test]
    fn what_was_dialled_is_read() {
        let check = |bytes: Bytes, log: Log, expect: (Protocol, &str, Option<&str>)| {
            let call = Call::read(bytes, log).unwrap();
            let destination = call.destination.map(|address| address.to_string());
            let found = (
                call.protocol,
                call.authority.as_str(),
                destination.as_deref(),
            );
            assert_eq!(found, expect);
        };
        let dialled = Some("10.96.0.1:80");
        check(
            entry("", Some("a:80"), None, 80),
            Log::Http,
            (Protocol::Http, "a:80", dialled),
        );
        check(
            entry("", None, Some("a"), 80),
            Log::Tcp,
            (Protocol::Tls, "a", dialled),
        );
        check(
            entry("", Some("a"), None, 80),
            Log::Tcp,
            (Protocol::Tcp, "", dialled),
        );
        check(
            entry("", None, None, 0),
            Log::Http,
            (Protocol::Http, "", None),
        );
        check(
            entry("", None, None, 70_000),
            Log::Http,
            (Protocol::Http, "", None),
        );
        check(Bytes::new(), Log::Http, (Protocol::Http, "", None));
    }

    #[test]
    fn what_is_no_entry_is_an_error() {
        for bytes in [b"\x0a\xff".as_slice(), b"\x1a\x03\x1a\x01\xff", b"\x07"] {
            assert!(
                Call::read(Bytes::from_static(bytes), Log::Http).is_err(),
                "{bytes:?}"
            );
        }
    }
}
