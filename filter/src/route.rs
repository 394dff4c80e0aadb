//! Sends a request where its decision says, by the header that the catch-all virtual host's first route reads.

use lazymesh_protocol::{CHOSEN_PROPERTY, CLUSTER_HEADER, DIRECT_CLUSTER, PASSTHROUGH_CLUSTER};

use crate::catch_all::CatchAll;
use crate::filter_state::{SERVER_NAME, SUBJECT_ALT_NAMES, arguments};
use crate::host::Host;

/// Takes out what an application put there: the header would let it choose any cluster.
pub(crate) fn strip(host: &mut impl Host) {
    if host.request_header(CLUSTER_HEADER).is_some() {
        host.remove_request_header(CLUSTER_HEADER);
        host.clear_route_cache();
    }
}

/// Sends the selected request through this cluster.
pub(crate) fn through(host: &mut impl Host, cluster: &str) {
    host.set_property(CHOSEN_PROPERTY, "1");
    host.set_request_header(CLUSTER_HEADER, cluster);
    host.clear_route_cache();
}

/// Sends the selected request to where the application dialled, over Istio mTLS, if one of these identities answers.
///
/// False: the proxy cannot check identities, so nothing was done.
pub(crate) fn direct(
    host: &mut impl Host,
    subject_alt_names: &[String],
    server_name: &str,
) -> bool {
    // Before the route is chosen again: the connection pool is chosen by filter state, too.
    let ready = host.set_filter_state(&arguments(SUBJECT_ALT_NAMES, &subject_alt_names.join(",")))
        && host.set_filter_state(&arguments(SERVER_NAME, server_name));
    if ready {
        through(host, DIRECT_CLUSTER);
    }
    ready
}

/// Sends the selected request where it would have gone without the filter.
pub(crate) fn as_dialled(host: &mut impl Host, catch_all: CatchAll) {
    // By the header route under `allow_any` too: it has no idle time-out that could cut a long stream. But not where
    // MeshConfig's egressProxy takes the place of PassthroughCluster.
    let cluster = host
        .property(&["xds", "cluster_name"])
        .or_else(|| host.property(&["cluster_name"]));
    let other = cluster.is_some_and(|name| name != PASSTHROUGH_CLUSTER.as_bytes());
    if catch_all == CatchAll::AllowAny && !other {
        through(host, PASSTHROUGH_CLUSTER);
    }
}
