//! Lists the hosts that are in the scope of everybody who may see them, and says why.

use std::fmt;

use super::{Visibility, unheld};
use crate::inventory::Inventory;
use crate::names::EgressHost;

/// Why a host is in the scope of everybody who may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlwaysVisible {
    /// Lazymesh itself needs it, or the user listed it.
    Listed,
    /// It speaks something else than HTTP on one of its ports, or may do so.
    BeyondHttp,
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
            Self::BeyondHttp => "beyond-http",
            Self::Routes => "routes",
            Self::IstioDns => "istio-dns",
        }
    }
}

impl fmt::Display for AlwaysVisible {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Listed => "lazymesh itself needs it, or it is listed",
            Self::BeyondHttp => {
                "a port of it is not declared to be HTTP, which is all that the filter decides"
            }
            Self::Routes => {
                "its routes or its DestinationRule do with a request what no first request could have: \
                 more than to send it to clusters by weights"
            }
            Self::IstioDns => "only Istio's DNS knows its name",
        })
    }
}

/// What a namespace's workloads see without having learned it, each host once for every reason.
pub fn always_visible<'a>(
    inventory: &'a Inventory,
    visibility: &'a Visibility,
    namespace: &'a str,
    captures_dns: bool,
) -> impl Iterator<Item = (EgressHost, AlwaysVisible)> + 'a {
    let listed = visibility.always.iter().cloned();
    let beyond_http = inventory
        .services
        .beyond_http(namespace, visibility.assume_http);
    let of_dns = inventory.hosts_of_istio_dns().filter(move |_| captures_dns);
    (listed.map(|host| (host, AlwaysVisible::Listed)))
        .chain(beyond_http.map(|host| (host.clone(), AlwaysVisible::BeyondHttp)))
        .chain(unheld::hosts(inventory, namespace).map(|host| (host, AlwaysVisible::Routes)))
        .chain(of_dns.map(|host| (host.clone(), AlwaysVisible::IstioDns)))
}
