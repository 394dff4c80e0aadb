//! Says why a decision is what it is.

use std::fmt;

use crate::resource::ObjectKey;

/// Why a first request is decided so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ground {
    /// There is no room to learn it.
    Limit,
    /// Nothing of the mesh is meant.
    Outside,
    /// A person's Sidecar says what the workload may see.
    UserManaged(ObjectKey),
    /// A pod is dialled by its address, on a port that no service has.
    Pod,
    /// The service has another name, port or address than Istio has a route for.
    Unroutable,
    /// The name stands for something outside the mesh.
    Alias,
    /// The service does not have the port.
    Port,
    /// The port is declared to be HTTP, and this is not.
    NotHttp,
    /// Its routes lead to no cluster that there is.
    NoCluster,
    /// A VirtualService alone says where it goes.
    Route,
    /// It may go at once.
    Direct,
    /// It may not go at once.
    NotDirect(NotDirect),
}

/// Why a request may not go at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDirect {
    /// Not the service's own address was dialled.
    Elsewhere,
    /// A VirtualService rules the host.
    Routed,
    /// A DestinationRule shapes the traffic.
    Shaped,
    /// It has endpoints in other clusters.
    OtherCluster,
    /// An endpoint is none of the pods that are known.
    NoPod,
    /// An endpoint does not speak Istio mTLS.
    PlainText,
    /// More service accounts may answer than a decision names.
    TooManyIdentities,
    /// No endpoint is ready.
    NotReady,
}

impl Ground {
    /// In one word, for programs.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Outside => "outside",
            Self::UserManaged(_) => "user-managed",
            Self::Pod => "pod",
            Self::Unroutable => "unroutable",
            Self::Alias => "alias",
            Self::Port => "port",
            Self::NotHttp => "not-http",
            Self::NoCluster => "no-cluster",
            Self::Route => "route",
            Self::Direct => "direct",
            Self::NotDirect(why) => why.word(),
        }
    }
}

impl NotDirect {
    fn word(self) -> &'static str {
        match self {
            Self::Elsewhere => "elsewhere",
            Self::Routed => "routed",
            Self::Shaped => "shaped",
            Self::OtherCluster => "other-cluster",
            Self::NoPod => "no-pod",
            Self::PlainText => "plain-text",
            Self::TooManyIdentities => "too-many-identities",
            Self::NotReady => "not-ready",
        }
    }
}

impl fmt::Display for Ground {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Limit => "the workload, or all of them, have learned as much as they may",
            Self::Outside => "nothing of the mesh is meant",
            Self::UserManaged(sidecar) => {
                return write!(out, "{sidecar} says what the workload may see");
            }
            Self::Pod => "a pod is dialled by its address, which Istio has no route for",
            Self::Unroutable => "Istio has no route from this name, port or address to it",
            Self::Alias => "it is an ExternalName for what is not in the mesh",
            Self::Port => "it has no such port",
            Self::NotHttp => "its port is declared to be HTTP, and Istio passes through what is not",
            Self::NoCluster => "its VirtualService sends to nothing that there is",
            Self::Route => "a VirtualService alone says where it goes",
            Self::Direct => {
                "the service's own address is dialled, nothing shapes its traffic, and all of its endpoints speak Istio mTLS"
            }
            Self::NotDirect(why) => return why.fmt(out),
        })
    }
}

impl fmt::Display for NotDirect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Elsewhere => "no address of the service itself is dialled",
            Self::Routed => "a VirtualService rules it",
            Self::Shaped => "a DestinationRule shapes its traffic",
            Self::OtherCluster => "it has endpoints in other clusters",
            Self::NoPod => "one of its endpoints is no pod that is known",
            Self::PlainText => "one of its endpoints does not speak Istio mTLS",
            Self::TooManyIdentities => "more service accounts may answer than a decision names",
            Self::NotReady => "none of its endpoints is ready",
        })
    }
}
