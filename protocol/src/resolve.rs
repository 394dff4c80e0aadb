use serde::{Deserialize, Serialize};

use crate::answer::Answer;

/// The workload that a filter speaks for, from its proxy's node metadata.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Source {
    /// Kubernetes namespace of the pod.
    pub namespace: String,
    /// Canonical name: pod label `service.istio.io/canonical-name`, or the workload's name without one.
    pub workload: String,
    /// ID of its cluster, `CLUSTER_ID` of the proxy; absent where there is no name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 253, example = "Kubernetes"))]
    pub cluster: Option<String>,
    /// Kubernetes service account of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
}

/// What the sidecar's filter chain takes the traffic for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1 or HTTP/2, gRPC included.
    Http,
    /// Any other TCP.
    Tcp,
    /// TLS that the application speaks itself; the authority is its SNI.
    Tls,
}

/// `POST /v1/resolve`: a host that the sidecar's configuration does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResolveRequest {
    /// Who asks.
    pub source: Source,
    /// `:authority`, Host or SNI exactly as the application sent it; absent for plain TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(max_length = 260, example = "reviews.shop:80")
    )]
    pub authority: Option<String>,
    /// Original destination, `IP:port`, that the application dialled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = "10.96.0.10:80"))]
    pub destination: Option<String>,
    /// Protocol of the listener that caught the traffic.
    pub protocol: Protocol,
}

/// Why the collector lets traffic go as the application dialled it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PassthroughReason {
    /// No service of the mesh has that name or address.
    External,
    /// A service of the mesh that Istio itself would reach by plain passthrough.
    Plain,
    /// The collector has no capacity left to learn for this workload.
    Limit,
}

/// The collector's answer to one unresolved host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "decision", rename_all = "lowercase")]
pub enum Decision {
    /// Send now over Istio mTLS to the original destination, through [`crate::DIRECT_CLUSTER`].
    Direct {
        /// SPIFFE identities that may answer. Never empty: without it only the CA would be checked.
        subject_alt_names: Vec<String>,
        /// SNI, `outbound_.<port>_._.<host>`.
        server_name: String,
    },
    /// Wait until the sidecar has this cluster, then send through it.
    Hold {
        /// Name of the cluster, `outbound|<port>|<subset>|<host>`.
        cluster: String,
        /// The clusters that a VirtualService splits the host's requests over, at most [`crate::MAX_SHARES`]: each
        /// request waits for one of them instead, chosen at random by weight. Empty: all wait for `cluster`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(feature = "openapi", schema(max_items = 32))]
        split: Vec<Share>,
        /// How long to wait, in milliseconds, before the request goes passthrough.
        timeout_ms: u32,
    },
    /// Send as the application dialled it.
    Passthrough {
        /// Why.
        reason: PassthroughReason,
    },
}

/// A cluster's share of the requests for one host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Share {
    /// Name of the cluster, `outbound|<port>|<subset>|<host>`.
    pub cluster: String,
    /// Its part of the sum of all weights.
    pub weight: u32,
}

/// Answer to a [`ResolveRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "Answer")]
pub struct ResolveResponse {
    /// What to do with the request.
    #[serde(flatten)]
    pub decision: Decision,
    /// The egress host that was learned, `<namespace>/<host>`; absent for external hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(example = "shop/reviews.shop.svc.cluster.local")
    )]
    pub host: Option<String>,
    /// How long, in milliseconds, the filter may use this answer without asking again.
    pub ttl_ms: u32,
}
