//! Names what every mesh has: the namespaces, the workload behind the sidecar, the collector.

/// Namespace of the client and, unless said otherwise, of every service.
pub const NAMESPACE: &str = "shop";
/// The workload whose sidecar the mesh has.
pub const WORKLOAD: &str = "productpage";
/// Where lazymesh is installed.
pub(crate) const SYSTEM_NAMESPACE: &str = "lazymesh-system";
/// The collector's service.
pub(crate) const COLLECTOR_SERVICE: &str = "lazymesh-collector";

/// Istio's name of the collector's cluster.
pub(crate) fn collector_cluster() -> String {
    format!("outbound|8480||{}", collector_host())
}

pub(crate) fn collector_host() -> String {
    format!("{COLLECTOR_SERVICE}.{SYSTEM_NAMESPACE}.svc.cluster.local")
}
