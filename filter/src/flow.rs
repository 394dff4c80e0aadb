//! Sends a request where its decision says, by the header that the catch-all virtual host's first route reads.

use lazymesh_protocol::{CHOSEN_PROPERTY, CLUSTER_HEADER, DIRECT_CLUSTER, PASSTHROUGH_CLUSTER};

use crate::catch_all::CatchAll;
use crate::filter_state::{SERVER_NAME, SUBJECT_ALT_NAMES, arguments};
use crate::host::{ContextId, Host};

/// One unresolved request, and how it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    /// Its number at the host.
    pub(crate) context: ContextId,
    /// The catch-all that it matched.
    pub(crate) catch_all: CatchAll,
}

impl Flow {
    /// Sends it through this cluster. It must be the selected context.
    pub(crate) fn through(self, host: &mut impl Host, cluster: &str) {
        host.set_property(CHOSEN_PROPERTY, "1");
        host.set_request_header(CLUSTER_HEADER, cluster);
        host.clear_route_cache();
    }

    /// Sends it to where the application dialled, over Istio mTLS, if one of these identities answers.
    ///
    /// False: the proxy cannot check identities, so nothing was done.
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
        // By the header route under `allow_any` too: it has no idle time-out that could cut a long stream. But not where
        // MeshConfig's egressProxy takes the place of PassthroughCluster.
        let cluster = host
            .property(&["xds", "cluster_name"])
            .or_else(|| host.property(&["cluster_name"]));
        let other = cluster.is_some_and(|name| name != PASSTHROUGH_CLUSTER.as_bytes());
        if self.catch_all == CatchAll::AllowAny && !other {
            self.through(host, PASSTHROUGH_CLUSTER);
        }
    }
}

/// Takes out what an application put into the header, which would let it choose any cluster.
pub(crate) fn strip_header(host: &mut impl Host) {
    if host.request_header(CLUSTER_HEADER).is_some() {
        host.remove_request_header(CLUSTER_HEADER);
        host.clear_route_cache();
    }
}
