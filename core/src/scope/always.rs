//! Lists the hosts that are in the scope of everybody who may see them, and says why.

use std::collections::BTreeSet;
use std::fmt;

use super::{Visibility, undecided, unheld};
use crate::inventory::{Inventory, MeshService};
use crate::names::EgressHost;

/// Why a host is in the scope of everybody who may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlwaysVisible {
    /// Sidecars need it whatever they call.
    Listed,
    /// It has something else than HTTP on this port, or may have, and filters decide requests only.
    HttpOnly(u16),
    /// It has TCP on this port, where others have HTTP.
    SharesHttpPort(u16),
    /// Its connections to this port are told by the name of the server, which the filter does not know beforehand.
    ToldByServerName(u16),
    /// Its connections to this port are told by the port alone.
    ToldByPort(u16),
    /// It has this port, on which nothing but HTTP gets through to hosts that a sidecar does not have.
    HttpProxy(u16),
    /// It has this port, whose listener of all addresses Istio gives to one protocol alone.
    ExclusivePort(u16),
    /// Several objects of its namespace have it, of which one is a ServiceEntry.
    Merged,
    /// Its routes do more with a request than to send it to clusters by weights.
    Routes,
    /// Only Istio's DNS knows its name.
    IstioDns,
}

impl AlwaysVisible {
    /// In one word, for programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::HttpOnly(_) => "http-only",
            Self::SharesHttpPort(_) => "shares-http-port",
            Self::ToldByServerName(_) => "told-by-server-name",
            Self::ToldByPort(_) => "told-by-port",
            Self::HttpProxy(_) => "http-proxy",
            Self::ExclusivePort(_) => "exclusive-port",
            Self::Merged => "merged",
            Self::Routes => "routes",
            Self::IstioDns => "istio-dns",
        }
    }
}

impl fmt::Display for AlwaysVisible {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed => out.write_str(
                "every sidecar needs it: lazymesh itself, a provider of Istio's mesh configuration, or one of --always-visible",
            ),
            Self::HttpOnly(port) => write!(
                out,
                "port {port} of it is not declared to be HTTP, and the attachment leaves connections alone (attachment.tcp)",
            ),
            Self::SharesHttpPort(port) => write!(
                out,
                "it has TCP on port {port}, where others have HTTP: their listener waits for the client, and this server may be \
                 the first to speak",
            ),
            Self::ToldByServerName(port) => write!(
                out,
                "only the name of the server tells its connections to port {port}, and Istio does with them what would not be \
                 done without it",
            ),
            Self::ToldByPort(port) => {
                write!(out, "nothing but the port tells its connections to port {port}")
            }
            Self::HttpProxy(port) => write!(
                out,
                "it has port {port}, which is http_proxy of some host: where a sidecar has that, Istio refuses what is not HTTP on the port of \
                 hosts that it does not have",
            ),
            Self::ExclusivePort(port) => write!(
                out,
                "it has port {port}, on which there is Mongo or MySQL without an address: Istio has one protocol there, that of the oldest",
            ),
            Self::Merged => out.write_str(
                "several objects of its namespace have this host, and istiod takes something of each",
            ),
            Self::Routes => out.write_str(
                "its routes or its DestinationRule do with a request what no first request could have: \
                 more than to send it to clusters by weights",
            ),
            Self::IstioDns => out.write_str(
                "only Istio's DNS knows its name, for workloads whose sidecars answer DNS",
            ),
        }
    }
}

/// What a namespace's workloads see without having learned it, each host once for every reason.
pub(super) fn always_visible<'a>(
    inventory: &'a Inventory,
    visibility: &'a Visibility,
    namespace: &'a str,
    captures_dns: bool,
) -> impl Iterator<Item = (EgressHost, AlwaysVisible)> + 'a {
    let listed = visibility.always.iter().cloned();
    let undecided = undecided::services(inventory, visibility, namespace);
    let owned = move |service: &&MeshService| inventory.services.owns(service, namespace);
    let proxies = inventory.services.http_proxies().filter(owned);
    let proxy_ports: BTreeSet<_> = proxies.flat_map(MeshService::http_proxy_ports).collect();
    let proxies = proxy_ports.into_iter().flat_map(move |port| {
        let hosts = inventory.services.refused_on(port).filter(owned);
        hosts.map(move |service| (service.egress.clone(), AlwaysVisible::HttpProxy(port)))
    });
    let exclusive = inventory.exclusive_ports().flat_map(move |port| {
        let hosts = inventory.hosts_on(port).filter(owned);
        hosts.map(move |service| (service.egress.clone(), AlwaysVisible::ExclusivePort(port)))
    });
    let merged = inventory.services.merged().filter(owned);
    let merged = merged.map(|service| (service.egress.clone(), AlwaysVisible::Merged));
    let of_dns = inventory.hosts_of_istio_dns().filter(move |_| captures_dns);
    (listed.map(|host| (host, AlwaysVisible::Listed)))
        .chain(undecided.map(|(service, why)| (service.egress.clone(), why)))
        .chain(proxies)
        .chain(exclusive)
        .chain(merged)
        .chain(unheld::hosts(inventory, namespace).map(|host| (host, AlwaysVisible::Routes)))
        .chain(of_dns.map(|host| (host.clone(), AlwaysVisible::IstioDns)))
}

/// What any workload of a namespace sees so.
pub fn always_visible_in<'a>(
    inventory: &'a Inventory,
    visibility: &'a Visibility,
    namespace: &'a str,
) -> impl Iterator<Item = (EgressHost, AlwaysVisible)> + 'a {
    let captures_dns = inventory.pods.capture_dns_in(namespace);
    always_visible(inventory, visibility, namespace, captures_dns)
}

#[cfg(test)]
mod tests;
