//! Whom the filter speaks for, from the proxy's node metadata as Istio's injector and pilot-agent fill it.

use lazymesh_protocol::{CANONICAL_NAME_LABELS, Source};

use crate::host::Host;

/// The workload of this proxy; `None` while, or where, its metadata does not tell.
pub(crate) fn source(host: &impl Host) -> Option<Source> {
    let mut names = CANONICAL_NAME_LABELS.into_iter();
    Some(Source {
        namespace: metadata(host, &["NAMESPACE"])?,
        workload: names
            .find_map(|label| metadata(host, &["LABELS", label]))
            .or_else(|| metadata(host, &["WORKLOAD_NAME"]))?,
        cluster: metadata(host, &["CLUSTER_ID"]),
        service_account: metadata(host, &["SERVICE_ACCOUNT"]),
    })
}

fn metadata(host: &impl Host, path: &[&str]) -> Option<String> {
    let at = |prefix: &[&str]| host.property(&[prefix, path].concat());
    // `node` is what `xds.node` was called before Envoy had the xds attributes.
    let bytes = at(&["xds", "node", "metadata"]).or_else(|| at(&["node", "metadata"]))?;
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.is_empty())
}
