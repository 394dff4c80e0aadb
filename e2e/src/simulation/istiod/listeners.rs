use lazymesh_envoyfilters::{AccessLog, tcp_access_log};
use serde_json::{Value, json};

use super::{Entry, Protocol};

/// The listeners of a sidecar with these services in scope: one for each address of a TCP service. Those of HTTP are
/// there for all ports.
pub(super) fn all(entries: &[&Entry], als: Option<&AccessLog>) -> Vec<Value> {
    let entries = entries.iter();
    let tcp = entries.filter(|entry| entry.protocol == Protocol::Tcp);
    tcp.map(|entry| listener(entry, als)).collect()
}

fn listener(entry: &Entry, als: Option<&AccessLog>) -> Value {
    let address = entry.cluster_ip.to_string();
    json!({
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": format!("{address}_{}", entry.port),
        "traffic_direction": "OUTBOUND",
        "address": { "socket_address": { "address": address, "port_value": entry.port } },
        "bind_to_port": false,
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.tcp_proxy",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                "stat_prefix": entry.cluster(),
                "cluster": entry.cluster(),
                "access_log": Vec::from_iter(als.map(tcp_access_log)),
            },
        }] }],
    })
}
