//! Reads the messages of Envoy's access log service (v3), as far as they teach.
//!
//! An entry stays bytes until it is read by itself, so that a bad one costs no other. What is not named here, nine
//! tenths of an entry, is skipped and not decoded: it costs neither time nor memory, whoever wrote it.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;

/// `envoy.service.accesslog.v3.StreamAccessLogsMessage`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StreamAccessLogsMessage {
    #[prost(message, optional, tag = "1")]
    pub(crate) identifier: Option<Identifier>,
    #[prost(message, optional, tag = "2")]
    pub(crate) http_logs: Option<Entries>,
    #[prost(message, optional, tag = "3")]
    pub(crate) tcp_logs: Option<Entries>,
}

/// `envoy.service.accesslog.v3.StreamAccessLogsResponse`, which Envoy never reads.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StreamAccessLogsResponse {}

/// Who sends; only the first message of a stream has it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Identifier {
    #[prost(message, optional, tag = "1")]
    pub(crate) node: Option<Node>,
}

/// `envoy.config.core.v3.Node`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Node {
    #[prost(message, optional, tag = "3")]
    pub(crate) metadata: Option<Struct>,
}

/// `google.protobuf.Struct`, as far as it is text.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(crate) fields: BTreeMap<String, Value>,
}

/// `google.protobuf.Value`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Value {
    #[prost(string, optional, tag = "3")]
    pub(crate) string_value: Option<String>,
    #[prost(message, optional, tag = "5")]
    pub(crate) struct_value: Option<Struct>,
}

/// The entries of a message, none of them read.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Entries {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(crate) log_entry: Vec<Bytes>,
}

/// `envoy.data.accesslog.v3.HTTPAccessLogEntry`, and a `TCPAccessLogEntry`, which has no request.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Entry {
    #[prost(message, optional, tag = "1")]
    pub(crate) common_properties: Option<Common>,
    #[prost(message, optional, tag = "3")]
    pub(crate) request: Option<HttpRequest>,
}

/// `envoy.data.accesslog.v3.AccessLogCommon`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Common {
    #[prost(message, optional, tag = "3")]
    pub(crate) downstream_local_address: Option<Address>,
    #[prost(message, optional, tag = "4")]
    pub(crate) tls_properties: Option<Tls>,
    #[prost(string, tag = "15")]
    pub(crate) upstream_cluster: String,
}

/// `envoy.data.accesslog.v3.TLSProperties`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Tls {
    #[prost(string, tag = "3")]
    pub(crate) tls_sni_hostname: String,
}

/// `envoy.config.core.v3.Address`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Address {
    #[prost(message, optional, tag = "1")]
    pub(crate) socket_address: Option<SocketAddress>,
}

/// `envoy.config.core.v3.SocketAddress`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SocketAddress {
    #[prost(string, tag = "2")]
    pub(crate) address: String,
    #[prost(uint32, tag = "3")]
    pub(crate) port_value: u32,
}

/// `envoy.data.accesslog.v3.HTTPRequestProperties`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HttpRequest {
    #[prost(string, tag = "3")]
    pub(crate) authority: String,
}
