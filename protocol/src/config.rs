use serde::{Deserialize, Serialize};

/// The filter's plugin configuration, as a WasmPlugin's `pluginConfig` carries it.
///
/// Every field but the collector's cluster has a default, so an empty upgrade never changes behaviour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterConfig {
    /// Envoy cluster of the collector's ingest port, for example
    /// `outbound|8480||lazymesh-collector.lazymesh-system.svc.cluster.local`.
    pub collector_cluster: String,
    /// `:authority` of callouts to the collector.
    #[serde(default = "default_authority")]
    pub collector_authority: String,
    /// How long a request may wait for the collector's answer, in milliseconds.
    #[serde(default = "default_resolve_timeout_ms")]
    pub resolve_timeout_ms: u32,
    /// Longest hold that a collector may ask for, in milliseconds.
    #[serde(default = "default_max_hold_ms")]
    pub max_hold_ms: u32,
    /// Most requests paused at once, per worker; further ones go passthrough.
    #[serde(default = "default_max_paused")]
    pub max_paused: u32,
    /// Most hosts in the decision cache, per sidecar.
    #[serde(default = "default_max_hosts")]
    pub max_hosts: u32,
    /// Most callouts in flight at once, per worker.
    #[serde(default = "default_max_callouts")]
    pub max_callouts: u32,
    /// Failed callouts in a row that open the circuit breaker.
    #[serde(default = "default_breaker_failures")]
    pub breaker_failures: u32,
    /// First back-off of the open breaker, in milliseconds; doubles, jittered, up to `breaker_max_backoff_ms`.
    #[serde(default = "default_breaker_backoff_ms")]
    pub breaker_backoff_ms: u32,
    /// Longest back-off of the open breaker, in milliseconds.
    #[serde(default = "default_breaker_max_backoff_ms")]
    pub breaker_max_backoff_ms: u32,
    /// How often counts are reported, in milliseconds; 0 turns reports off.
    #[serde(default = "default_report_interval_ms")]
    pub report_interval_ms: u32,
    /// How often, in milliseconds, the filter tells that it is there; 0: never, and then its namespace counts as one
    /// without a filter until the first unresolved request. A workload of which none has told for 50 s counts as one
    /// without, too.
    #[serde(default = "default_heartbeat_interval_ms")]
    pub heartbeat_interval_ms: u32,
    /// Addresses and CIDR blocks, at most [`crate::MAX_MESH_PREFIXES`], that hold every address of the mesh: of its Services, of
    /// the pods of headless ones, and of ServiceEntries. A connection that is not HTTP waits for a decision only if it
    /// goes to one of them, so with none such connections are only counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mesh_prefixes: Vec<String>,
}

impl FilterConfig {
    /// The defaults, with this cluster for callouts.
    #[must_use]
    pub fn new(collector_cluster: impl Into<String>) -> Self {
        Self {
            collector_cluster: collector_cluster.into(),
            collector_authority: default_authority(),
            resolve_timeout_ms: default_resolve_timeout_ms(),
            max_hold_ms: default_max_hold_ms(),
            max_paused: default_max_paused(),
            max_hosts: default_max_hosts(),
            max_callouts: default_max_callouts(),
            breaker_failures: default_breaker_failures(),
            breaker_backoff_ms: default_breaker_backoff_ms(),
            breaker_max_backoff_ms: default_breaker_max_backoff_ms(),
            report_interval_ms: default_report_interval_ms(),
            heartbeat_interval_ms: default_heartbeat_interval_ms(),
            mesh_prefixes: Vec::new(),
        }
    }
}

fn default_authority() -> String {
    "lazymesh-collector".to_owned()
}
fn default_resolve_timeout_ms() -> u32 {
    500
}
fn default_max_hold_ms() -> u32 {
    5_000
}
fn default_max_paused() -> u32 {
    1_024
}
fn default_max_hosts() -> u32 {
    2_048
}
fn default_max_callouts() -> u32 {
    64
}
fn default_breaker_failures() -> u32 {
    3
}
fn default_breaker_backoff_ms() -> u32 {
    1_000
}
fn default_breaker_max_backoff_ms() -> u32 {
    30_000
}
fn default_report_interval_ms() -> u32 {
    10_000
}
fn default_heartbeat_interval_ms() -> u32 {
    20_000
}
