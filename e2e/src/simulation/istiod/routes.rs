use serde_json::{Value, json};

use super::{Config, Entry, OutboundTrafficPolicy, Patches, Protocol};

/// The route table of one port: a virtual host for each service in scope, and the catch-all.
pub(super) fn table(port: u16, entries: &[&Entry], config: &Config) -> Value {
    let services = entries
        .iter()
        .filter(|entry| entry.port == port && entry.protocol != Protocol::Tcp);
    let mut hosts: Vec<Value> = services
        .map(|entry| service(entry, &config.namespace))
        .collect();
    hosts.push(catch_all(config));
    json!({
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": port.to_string(),
        "virtual_hosts": hosts,
        "validate_clusters": false,
        "max_direct_response_body_size_bytes": 1_048_576,
        "ignore_port_in_host_matching": true,
    })
}

fn service(entry: &Entry, client_namespace: &str) -> Value {
    let Entry {
        name, namespace, ..
    } = entry;
    let host = entry.host();
    let mut domains = vec![host.clone()];
    if namespace == client_namespace {
        domains.push(name.clone());
    }
    domains.push(format!("{name}.{namespace}.svc"));
    domains.push(format!("{name}.{namespace}"));
    domains.push(entry.cluster_ip.to_string());
    json!({
        "name": format!("{host}:{}", entry.port),
        "domains": domains,
        "include_request_attempt_count": true,
        "routes": [{
            "name": "default",
            "match": { "prefix": "/" },
            "decorator": { "operation": format!("{host}:{}/*", entry.port) },
            "route": {
                "cluster": entry.cluster(),
                "timeout": "0s",
                "retry_policy": {
                    "retry_on": "connect-failure,refused-stream,unavailable,cancelled",
                    "num_retries": 2,
                    "host_selection_retry_max_attempts": "5",
                },
            },
        }],
    })
}

fn catch_all(config: &Config) -> Value {
    let mut host = match config.policy {
        OutboundTrafficPolicy::AllowAny => json!({
            "name": "allow_any",
            "domains": ["*"],
            "include_request_attempt_count": true,
            "routes": [{
                "name": "allow_any",
                "match": { "prefix": "/" },
                "route": { "cluster": "PassthroughCluster", "timeout": "0s" },
            }],
        }),
        OutboundTrafficPolicy::RegistryOnly => json!({
            "name": "block_all",
            "domains": ["*"],
            "include_request_attempt_count": true,
            "routes": [{
                "name": "block_all",
                "match": { "prefix": "/" },
                "direct_response": { "status": 502 },
            }],
        }),
    };
    if let Some(patches) = &config.patches {
        patch(&mut host, patches);
    }
    host
}

fn patch(host: &mut Value, patches: &Patches) {
    merge(host, &patches.virtual_host);
    let Some(routes) = host["routes"].as_array_mut() else {
        return;
    };
    for route in &mut *routes {
        if route["name"] == "allow_any" {
            merge(route, &patches.allow_any_route);
        }
    }
    // INSERT_FIRST
    routes.insert(0, patches.first_route.clone());
}

/// A protobuf merge, as far as EnvoyFilters use it: messages merge, lists grow, the rest is replaced.
fn merge(into: &mut Value, patch: &Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (Value::Array(into), Value::Array(patch)) => into.extend(patch.iter().cloned()),
        (into, patch) => *into = patch.clone(),
    }
}
