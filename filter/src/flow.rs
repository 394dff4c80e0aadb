//! Sends a request or a connection where its decision says.
//!
//! A request leaves by a header that the catch-all virtual host's first route reads; a connection by filter state that
//! Envoy's TCP proxy reads.

use lazymesh_protocol::{
    CHOSEN_PROPERTY, CLUSTER_HEADER, DIRECT_CLUSTER, PASSTHROUGH_CLUSTER, Protocol,
};

use crate::catch_all::CatchAll;
use crate::filter_state::{SERVER_NAME, SUBJECT_ALT_NAMES, TCP_PROXY_CLUSTER, arguments};
use crate::host::{ContextId, Host, Stream};

/// Length of a `traceparent`.
const TRACE_BYTES: usize = 55;

/// One request or connection that nothing but a catch-all matched. Its context must be the selected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Of HTTP, on a catch-all virtual host.
    Request(ContextId, CatchAll),
    /// Of anything else, in a catch-all filter chain.
    Connection(ContextId),
}

impl Flow {
    /// Its number at the host.
    pub(crate) fn context(self) -> ContextId {
        match self {
            Self::Request(context, _) | Self::Connection(context) => context,
        }
    }

    /// Of which protocol it is, as far as is known.
    pub(crate) fn protocol(self) -> Protocol {
        match self {
            Self::Request(..) => Protocol::Http,
            Self::Connection(_) => Protocol::Tcp,
        }
    }

    /// The trace that it is part of, where it says so as W3C has it.
    pub(crate) fn trace(self, host: &impl Host) -> Option<String> {
        let Self::Request(..) = self else {
            return None;
        };
        let bytes = host.request_header("traceparent")?;
        let is_one = bytes.len() == TRACE_BYTES
            && bytes
                .iter()
                .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f' | b'-'));
        is_one.then(|| String::from_utf8(bytes).ok()).flatten()
    }

    /// Sends it through this cluster.
    pub(crate) fn through(self, host: &mut impl Host, cluster: &str) {
        match self {
            Self::Request(..) => {
                host.set_property(CHOSEN_PROPERTY, "1");
                host.set_request_header(CLUSTER_HEADER, cluster);
                host.clear_route_cache();
            }
            Self::Connection(_) => {
                host.set_filter_state(&arguments(TCP_PROXY_CLUSTER, cluster));
            }
        }
    }

    /// Sends it to where the application dialled, over Istio mTLS, if one of these identities answers.
    ///
    /// False: the proxy cannot check identities here, so nothing was done.
    pub(crate) fn direct(
        self,
        host: &mut impl Host,
        subject_alt_names: &[String],
        server_name: &str,
    ) -> bool {
        // Before the route is chosen again: the connection pool is chosen by filter state, too.
        let names = subject_alt_names.join(",");
        let ready = host.set_filter_state(&arguments(SUBJECT_ALT_NAMES, &names))
            && host.set_filter_state(&arguments(SERVER_NAME, server_name));
        if ready {
            self.through(host, DIRECT_CLUSTER);
        }
        ready
    }

    /// Sends it where it would have gone without the filter.
    pub(crate) fn as_dialled(self, host: &mut impl Host) {
        let Self::Request(_, CatchAll::AllowAny) = self else {
            return;
        };
        // By the header route under `allow_any` too: it has no idle time-out that could cut a long stream. But not where
        // MeshConfig's egressProxy takes the place of PassthroughCluster.
        let cluster = host
            .property(&["xds", "cluster_name"])
            .or_else(|| host.property(&["cluster_name"]));
        if cluster.is_none_or(|name| name == PASSTHROUGH_CLUSTER.as_bytes()) {
            self.through(host, PASSTHROUGH_CLUSTER);
        }
    }

    /// Lets it go on after a pause.
    pub(crate) fn resume(self, host: &mut impl Host) {
        host.resume(match self {
            Self::Request(..) => Stream::Request,
            Self::Connection(_) => Stream::Connection,
        });
    }
}

/// Takes out what an application put into the header, which would let it choose any cluster.
pub(crate) fn strip_header(host: &mut impl Host) {
    if host.request_header(CLUSTER_HEADER).is_some() {
        host.remove_request_header(CLUSTER_HEADER);
        host.clear_route_cache();
    }
}
