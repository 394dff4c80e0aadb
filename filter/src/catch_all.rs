//! Tells unresolved requests from the others, and Istio's two outbound policies from one another.

use crate::host::Host;

/// The catch-all virtual host that matched a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CatchAll {
    /// `outboundTrafficPolicy: ALLOW_ANY`: unknown hosts pass as dialled.
    AllowAny,
    /// `outboundTrafficPolicy: REGISTRY_ONLY`: unknown hosts are refused.
    BlockAll,
}

impl CatchAll {
    /// The catch-all that the selected request matched, if it did.
    ///
    /// By the virtual host, not by the cluster: under `REGISTRY_ONLY` there is none.
    pub(crate) fn of(host: &impl Host) -> Option<Self> {
        // Envoys without the xds attributes have the route's name, which Istio makes the same.
        let name = host
            .property(&["xds", "virtual_host_name"])
            .or_else(|| host.property(&["route_name"]))?;
        match name.as_slice() {
            b"allow_any" => Some(Self::AllowAny),
            b"block_all" => Some(Self::BlockAll),
            _ => None,
        }
    }
}
