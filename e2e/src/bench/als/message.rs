//! Writes messages of Envoy's access log service as a sidecar of Istio's does: what an entry has, and the order of its size.

use prost::Message;

/// Entries of a message: Envoy sends what it has gathered when that is 16 KB.
pub(super) const ENTRIES: usize = 20;

#[derive(Clone, PartialEq, Message)]
struct StreamAccessLogsMessage {
    #[prost(message, optional, tag = "1")]
    identifier: Option<Identifier>,
    #[prost(message, optional, tag = "2")]
    http_logs: Option<HttpLogs>,
}

#[derive(Clone, PartialEq, Message)]
struct Identifier {
    #[prost(message, optional, tag = "1")]
    node: Option<Node>,
    #[prost(string, tag = "2")]
    log_name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, optional, tag = "3")]
    metadata: Option<Struct>,
}

#[derive(Clone, PartialEq, Message)]
struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    fields: std::collections::BTreeMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "3")]
    string_value: String,
}

#[derive(Clone, PartialEq, Message)]
struct HttpLogs {
    #[prost(message, repeated, tag = "1")]
    log_entry: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(message, optional, tag = "1")]
    common_properties: Option<Common>,
    #[prost(int32, tag = "2")]
    protocol_version: i32,
    #[prost(message, optional, tag = "3")]
    request: Option<Request>,
    #[prost(message, optional, tag = "4")]
    response: Option<Response>,
}

#[derive(Clone, PartialEq, Message)]
struct Common {
    #[prost(message, optional, tag = "2")]
    downstream_remote_address: Option<Address>,
    #[prost(message, optional, tag = "3")]
    downstream_local_address: Option<Address>,
    #[prost(message, optional, tag = "5")]
    start_time: Option<Time>,
    #[prost(message, repeated, tag = "6")]
    time_to_last_rx_byte: Vec<Time>,
    #[prost(message, optional, tag = "13")]
    upstream_remote_address: Option<Address>,
    #[prost(message, optional, tag = "14")]
    upstream_local_address: Option<Address>,
    #[prost(string, tag = "15")]
    upstream_cluster: String,
    #[prost(message, optional, tag = "17")]
    metadata: Option<Struct>,
    #[prost(string, tag = "19")]
    route_name: String,
    #[prost(message, optional, tag = "20")]
    downstream_direct_remote_address: Option<Address>,
    #[prost(string, tag = "26")]
    stream_id: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Address {
    #[prost(message, optional, tag = "1")]
    socket_address: Option<SocketAddress>,
}

#[derive(Clone, PartialEq, Message)]
struct SocketAddress {
    #[prost(string, tag = "2")]
    address: String,
    #[prost(uint32, tag = "3")]
    port_value: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(int32, tag = "1")]
    request_method: i32,
    #[prost(string, tag = "2")]
    scheme: String,
    #[prost(string, tag = "3")]
    authority: String,
    #[prost(string, tag = "5")]
    path: String,
    #[prost(string, tag = "6")]
    user_agent: String,
    #[prost(string, tag = "9")]
    request_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(string, tag = "6")]
    response_code_details: String,
}

/// A message of a workload's sidecar that says who it is, calling some of the services.
pub(super) fn message(namespace: &str, workload: &str, services: &[String]) -> Vec<u8> {
    let text = |value: &str| Value {
        string_value: value.to_owned(),
    };
    let metadata = [("NAMESPACE", namespace), ("WORKLOAD_NAME", workload)];
    let fields = metadata.map(|(key, value)| (key.to_owned(), text(value)));
    let node = Node {
        id: format!("sidecar~10.0.0.1~{workload}-0.{namespace}~{namespace}.svc.cluster.local"),
        metadata: Some(Struct {
            fields: fields.into(),
        }),
    };
    let message = StreamAccessLogsMessage {
        identifier: Some(Identifier {
            node: Some(node),
            log_name: "lazymesh".to_owned(),
        }),
        http_logs: Some(HttpLogs {
            log_entry: services.iter().cycle().take(ENTRIES).map(entry).collect(),
        }),
    };
    message.encode_to_vec()
}

fn entry(service: &String) -> Entry {
    let time = Time {
        seconds: 1_764_000_000,
        nanos: 123_456_789,
    };
    let istio = Value {
        string_value: "x".repeat(120),
    };
    let common = Common {
        downstream_remote_address: address("10.244.1.17", 41_522),
        downstream_local_address: address("10.96.0.1", 80),
        start_time: Some(time),
        time_to_last_rx_byte: vec![time; 7],
        upstream_remote_address: address("10.244.3.4", 8080),
        upstream_local_address: address("10.244.1.17", 52_114),
        upstream_cluster: format!("outbound|80||{service}.shop.svc.cluster.local"),
        metadata: Some(Struct {
            fields: [("istio".to_owned(), istio)].into(),
        }),
        route_name: "default".to_owned(),
        downstream_direct_remote_address: address("10.244.1.17", 41_522),
        stream_id: "0d4e6a8e-9a57-4c0e-9d3b-6b5a8c2f1e77".to_owned(),
    };
    let request = Request {
        request_method: 1,
        scheme: "http".to_owned(),
        authority: format!("{service}.shop"),
        path: "/api/v1/products/4711/reviews?page=2&sort=newest".to_owned(),
        user_agent: "Mozilla/5.0 (X11; Linux x86_64) okhttp/4.12.0".to_owned(),
        request_id: "5b1f2c0e-7f6d-9c55-8a3f-4b7b0e9a1c2d".to_owned(),
    };
    Entry {
        common_properties: Some(common),
        protocol_version: 2,
        request: Some(request),
        response: Some(Response {
            response_code_details: "via_upstream".to_owned(),
        }),
    }
}

fn address(address: &str, port: u32) -> Option<Address> {
    let socket_address = Some(SocketAddress {
        address: address.to_owned(),
        port_value: port,
    });
    Some(Address { socket_address })
}
