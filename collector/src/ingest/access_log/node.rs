//! Says which workload a node claims to be. It proves nothing: the certificate does.

use lazymesh_protocol::{CANONICAL_NAME_LABELS, Source};

use super::message::{Node, Struct};

/// The workload as its sidecar's filter would name it.
pub(crate) fn source(node: &Node) -> Option<Source> {
    let metadata = node.metadata.as_ref()?;
    let labels = metadata.fields.get("LABELS");
    let labels = labels.and_then(|labels| labels.struct_value.as_ref());
    let mut names = CANONICAL_NAME_LABELS.iter();
    let by_label = names.find_map(|name| text(labels?, name));
    let workload = by_label.or_else(|| text(metadata, "WORKLOAD_NAME"))?;
    Some(Source {
        namespace: text(metadata, "NAMESPACE")?.to_owned(),
        workload: workload.to_owned(),
        cluster: text(metadata, "CLUSTER_ID").map(str::to_owned),
        service_account: text(metadata, "SERVICE_ACCOUNT").map(str::to_owned),
    })
}

fn text<'a>(fields: &'a Struct, name: &str) -> Option<&'a str> {
    let value = fields.fields.get(name)?.string_value.as_deref();
    value.filter(|value| !value.is_empty())
}
