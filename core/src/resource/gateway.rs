use serde::Deserialize;

use super::istio::Others;
use super::meta::{Metadata, or_default};

/// `gateway.networking.k8s.io HTTPRoute`. Its name is Kubernetes', letter by letter, since the table of kinds says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct HTTPRoute {
    /// Its name and labels.
    #[serde(default)]
    pub metadata: Metadata,
    /// Its routes.
    #[serde(default, deserialize_with = "or_default")]
    pub spec: GatewayRouteSpec,
}

/// `gateway.networking.k8s.io GRPCRoute`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct GRPCRoute {
    /// Its name and labels.
    #[serde(default)]
    pub metadata: Metadata,
    /// Its routes.
    #[serde(default, deserialize_with = "or_default")]
    pub spec: GatewayRouteSpec,
}

/// What an [`HTTPRoute`] and a [`GRPCRoute`] have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GatewayRouteSpec {
    /// What it is attached to.
    #[serde(deserialize_with = "or_default")]
    pub parent_refs: Vec<ObjectReference>,
    /// The routes.
    #[serde(deserialize_with = "or_default")]
    pub rules: Vec<GatewayRule>,
}

/// Another object, as the Gateway API refers to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ObjectReference {
    /// API group; absent for the kind's usual one.
    pub group: Option<String>,
    /// Kind; absent for a Gateway as parent, a Service as backend.
    pub kind: Option<String>,
    /// Namespace; absent for that of what refers to it.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Port; absent for all.
    pub port: Option<u16>,
    /// Its share as a backend; absent for 1.
    pub weight: Option<u32>,
    /// Everything else, such as what a backend's filters do.
    #[serde(flatten)]
    pub others: Others,
}

/// One route of a [`GatewayRouteSpec`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GatewayRule {
    /// What it applies to; none for everything.
    #[serde(deserialize_with = "or_default")]
    pub matches: Vec<GatewayMatch>,
    /// What it does on the way.
    #[serde(deserialize_with = "or_default")]
    pub filters: Vec<GatewayFilter>,
    /// Where it goes.
    #[serde(deserialize_with = "or_default")]
    pub backend_refs: Vec<ObjectReference>,
    /// Everything else, such as time-outs.
    #[serde(flatten)]
    pub others: Others,
}

/// A condition of a [`GatewayRule`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GatewayMatch {
    /// The path of HTTP.
    pub path: Option<PathMatch>,
    /// Everything else.
    #[serde(flatten)]
    pub others: Others,
}

/// A condition on a path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PathMatch {
    /// `Exact`, `PathPrefix` (also when empty) or `RegularExpression`.
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    /// The path; absent for `/`.
    pub value: Option<String>,
}

/// What a [`GatewayRule`] does on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GatewayFilter {
    /// Where a copy goes.
    pub request_mirror: Option<GatewayMirror>,
}

/// A mirror of a [`GatewayFilter`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GatewayMirror {
    /// Where the copy goes.
    pub backend_ref: ObjectReference,
}
