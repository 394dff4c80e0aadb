use serde::{Deserialize, Serialize};

use crate::{Protocol, Source};

/// `POST /v1/reports`: how often a sidecar met unresolved hosts that its decision cache already knew. Without any it
/// says that the filter is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reports {
    /// Who reports.
    pub source: Source,
    /// At most [`crate::MAX_REPORTS`] hosts.
    #[cfg_attr(feature = "openapi", schema(max_items = 256))]
    pub reports: Vec<Report>,
    /// What went wrong since the last report; absent where nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

/// What went wrong in a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Trouble {
    /// Whether it is the filter of requests, `http`, or that of connections.
    pub protocol: Protocol,
    /// Held requests or connections whose cluster did not come in time.
    #[serde(default)]
    pub hold_timeouts: u64,
    /// Questions without a valid answer in time.
    #[serde(default)]
    pub callout_failures: u64,
}

/// One unresolved host, counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Report {
    /// As in [`crate::ResolveRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// As in [`crate::ResolveRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// As in [`crate::ResolveRequest`].
    pub protocol: Protocol,
    /// Requests or connections since the last report.
    pub count: u64,
}

/// Answer to [`Reports`]: one bad item never costs the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReportsResponse {
    /// Items that were recorded; they survive a power cut from here on.
    pub accepted: usize,
    /// Items that were refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<RejectedReport>,
}

/// Why one item of [`Reports`] was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RejectedReport {
    /// Position of the item in [`Reports::reports`].
    pub index: usize,
    /// What was wrong with it.
    pub detail: String,
}
