use std::{collections::BTreeSet, net::Ipv4Addr};

use lazymesh_envoyfilters::{AccessLog, http_access_log, tcp_access_log};
use serde_json::{Value, json};

use super::files::Files;

/// What a sidecar is told at its start: who it is, and the listeners that Istio gives every sidecar of the mesh.
///
/// Listeners are static but for those of TCP services; these, routes and clusters come from files. virtualOutbound takes the original destination from
/// a PROXY line instead of from the kernel, and hands over to the listener of that port.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// Where routes, clusters and logs are.
    pub files: Files,
    /// Address of the admin port and of virtualOutbound, both on ports of Envoy's choice.
    pub address: Ipv4Addr,
    /// Namespace of the workload.
    pub namespace: String,
    /// Workload, canonical name and service account.
    pub workload: String,
    /// Ports on which the mesh speaks HTTP.
    pub http_ports: BTreeSet<u16>,
    /// HTTP filter before the router.
    pub http_filter: Option<Value>,
    /// Network filter before the TCP proxy of the catch-all filter chain.
    pub tcp_filter: Option<Value>,
    /// Whether there is a line for each request in the access log.
    pub access_log: bool,
    /// The access logs that the collector gets, if any.
    pub als: Option<AccessLog>,
}

impl Bootstrap {
    /// Envoy's bootstrap.
    #[must_use]
    pub fn render(&self) -> Value {
        let mut listeners = vec![self.virtual_outbound()];
        listeners.extend(self.http_ports.iter().map(|port| self.http_listener(*port)));
        json!({
            "node": self.node(),
            "admin": { "address": address(&self.address.to_string(), 0) },
            "dynamic_resources": {
                "cds_config": file(&self.files.cds()),
                "lds_config": file(&self.files.lds()),
            },
            "static_resources": { "listeners": listeners },
        })
    }

    /// As Istio's agent writes it, as far as a filter reads it.
    fn node(&self) -> Value {
        let Self {
            namespace,
            workload,
            ..
        } = self;
        json!({
            "id": format!("sidecar~{}~{workload}-0.{namespace}~{namespace}.svc.cluster.local", self.address),
            "cluster": format!("{workload}.{namespace}"),
            "metadata": {
                "NAMESPACE": namespace,
                "NAME": format!("{workload}-0"),
                "WORKLOAD_NAME": workload,
                "SERVICE_ACCOUNT": workload,
                "CLUSTER_ID": "Kubernetes",
                "MESH_ID": crate::certificates::TRUST_DOMAIN,
                "LABELS": {
                    "app": workload,
                    "security.istio.io/tlsMode": "istio",
                    "service.istio.io/canonical-name": workload,
                    "service.istio.io/canonical-revision": "latest",
                },
            },
        })
    }

    fn virtual_outbound(&self) -> Value {
        let tcp_proxy = json!({
            "name": "envoy.filters.network.tcp_proxy",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                "stat_prefix": "PassthroughCluster",
                "cluster": "PassthroughCluster",
                "access_log": Vec::from_iter(self.als.as_ref().map(tcp_access_log)),
            },
        });
        let filters: Vec<&Value> = self.tcp_filter.iter().chain([&tcp_proxy]).collect();
        json!({
            "name": "virtualOutbound",
            "traffic_direction": "OUTBOUND",
            "address": address(&self.address.to_string(), 0),
            "use_original_dst": true,
            "listener_filters": [{
                "name": "envoy.filters.listener.proxy_protocol",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol",
                },
            }],
            "filter_chains": [{
                "name": "virtualOutbound-catchall-tcp",
                "filters": filters,
            }],
        })
    }

    fn http_listener(&self, port: u16) -> Value {
        json!({
            "name": format!("0.0.0.0_{port}"),
            "traffic_direction": "OUTBOUND",
            "address": address("0.0.0.0", port),
            "bind_to_port": false,
            "filter_chains": [{
                "filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": self.http_connection_manager(port),
                }],
            }],
        })
    }

    fn http_connection_manager(&self, port: u16) -> Value {
        let router = json!({
            "name": "envoy.filters.http.router",
            "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
        });
        let filters: Vec<&Value> = self.http_filter.iter().chain([&router]).collect();
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": format!("outbound_0.0.0.0_{port}"),
            "rds": {
                "route_config_name": port.to_string(),
                "config_source": file(&self.files.rds(&port.to_string())),
            },
            "http_filters": filters,
            "use_remote_address": false,
            "normalize_path": true,
            "stream_idle_timeout": "0s",
            "upgrade_configs": [{ "upgrade_type": "websocket" }],
            "access_log": self.access_logs(),
        })
    }

    fn access_logs(&self) -> Vec<Value> {
        let file = self.access_log.then(|| self.file_access_log());
        let als = self.als.as_ref().map(http_access_log);
        file.into_iter().chain(als).collect()
    }

    fn file_access_log(&self) -> Value {
        let line = "%START_TIME(%H:%M:%S.%3f)% %REQ(:METHOD)% %REQ(:AUTHORITY)%%REQ(:PATH)% %PROTOCOL% -> \
                    %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %DURATION%ms route=%ROUTE_NAME% \
                    cluster=%UPSTREAM_CLUSTER_RAW% host=%UPSTREAM_HOST% %UPSTREAM_TRANSPORT_FAILURE_REASON%\n";
        json!({
            "name": "envoy.access_loggers.file",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": self.files.access_log(),
                "log_format": { "text_format_source": { "inline_string": line } },
            },
        })
    }
}

fn address(address: &str, port: u16) -> Value {
    json!({ "socket_address": { "address": address, "port_value": port } })
}

fn file(path: &std::path::Path) -> Value {
    json!({ "path_config_source": { "path": path }, "resource_api_version": "V3" })
}
