//! Reads Istio's objects.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::meta::{Metadata, Selector, or_default};

/// `networking.istio.io ServiceEntry`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ServiceEntry {
    /// Its name and labels.
    #[serde(default)]
    pub metadata: Metadata,
    /// What it adds to the mesh.
    #[serde(default, deserialize_with = "or_default")]
    pub spec: ServiceEntrySpec,
    /// What istiod gave it.
    #[serde(default, deserialize_with = "or_default")]
    pub status: ServiceEntryStatus,
}

/// What a [`ServiceEntry`] adds to the mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceEntrySpec {
    /// Hosts, with wildcards.
    #[serde(deserialize_with = "or_default")]
    pub hosts: Vec<String>,
    /// IP addresses and CIDR blocks.
    #[serde(deserialize_with = "or_default")]
    pub addresses: Vec<String>,
    /// Ports.
    #[serde(deserialize_with = "or_default")]
    pub ports: Vec<ServiceEntryPort>,
    /// How its addresses are found: `NONE` (also when empty), `STATIC`, `DNS` and others.
    #[serde(deserialize_with = "or_default")]
    pub resolution: String,
    /// Whether it is part of the mesh: `MESH_EXTERNAL` (also when empty) or `MESH_INTERNAL`.
    #[serde(deserialize_with = "or_default")]
    pub location: String,
    /// Whether it says where its endpoints are.
    #[serde(deserialize_with = "is_there")]
    pub endpoints: bool,
    /// Whether pods or WorkloadEntries are its endpoints.
    #[serde(deserialize_with = "is_there")]
    pub workload_selector: bool,
    /// Namespaces that may see it; empty for all.
    #[serde(deserialize_with = "or_default")]
    pub export_to: Vec<String>,
}

/// One port of a [`ServiceEntry`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ServiceEntryPort {
    /// Number.
    pub number: u16,
    /// What is spoken on it; empty for Istio to find out.
    #[serde(deserialize_with = "or_default")]
    pub protocol: String,
}

/// What istiod gave a [`ServiceEntry`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ServiceEntryStatus {
    /// Addresses that istiod allocated for its DNS.
    #[serde(deserialize_with = "or_default")]
    pub addresses: Vec<AllocatedAddress>,
}

/// An address that istiod allocated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AllocatedAddress {
    /// The address.
    pub value: String,
    /// The host it stands for; empty for all hosts of the entry.
    #[serde(deserialize_with = "or_default")]
    pub host: String,
}

/// `networking.istio.io VirtualService`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct VirtualService {
    /// Its name and labels.
    #[serde(default)]
    pub metadata: Metadata,
    /// Its routes.
    #[serde(default, deserialize_with = "or_default")]
    pub spec: VirtualServiceSpec,
}

/// The routes of a [`VirtualService`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VirtualServiceSpec {
    /// Hosts, with wildcards; none for a delegate.
    #[serde(deserialize_with = "or_default")]
    pub hosts: Vec<String>,
    /// Gateways; none, or `mesh` among them, for sidecars.
    #[serde(deserialize_with = "or_default")]
    pub gateways: Vec<String>,
    /// Namespaces that may see it; empty for all.
    #[serde(deserialize_with = "or_default")]
    pub export_to: Vec<String>,
    /// HTTP routes, in order.
    #[serde(deserialize_with = "or_default")]
    pub http: Vec<HttpRoute>,
    /// TCP routes, in order.
    #[serde(deserialize_with = "or_default")]
    pub tcp: Vec<StreamRoute>,
    /// Routes of TLS that is passed through, in order.
    #[serde(deserialize_with = "or_default")]
    pub tls: Vec<StreamRoute>,
}

/// One HTTP route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HttpRoute {
    /// What it applies to; none for everything.
    #[serde(rename = "match", deserialize_with = "or_default")]
    pub matches: Vec<RouteMatch>,
    /// Where it goes.
    #[serde(deserialize_with = "or_default")]
    pub route: Vec<WeightedDestination>,
    /// Where a copy of it goes.
    pub mirror: Option<Destination>,
    /// Where copies of it go.
    #[serde(deserialize_with = "or_default")]
    pub mirrors: Vec<HttpMirror>,
    /// The VirtualService whose routes stand in its place.
    pub delegate: Option<Delegate>,
    /// Everything else that it does, such as a redirect or a time-out.
    #[serde(flatten)]
    pub others: Others,
}

/// One TCP or TLS route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct StreamRoute {
    /// What it applies to; none for everything.
    #[serde(rename = "match", deserialize_with = "or_default")]
    pub matches: Vec<RouteMatch>,
    /// Where it goes.
    #[serde(deserialize_with = "or_default")]
    pub route: Vec<WeightedDestination>,
}

/// A condition of a route. Lazymesh reads what a first request shows, and what no request can change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RouteMatch {
    /// Gateways, `mesh` for sidecars; none for all of the VirtualService's.
    #[serde(deserialize_with = "or_default")]
    pub gateways: Vec<String>,
    /// The caller's namespace; empty for any.
    #[serde(deserialize_with = "or_default")]
    pub source_namespace: String,
    /// Labels that the caller's pod has.
    #[serde(deserialize_with = "or_default")]
    pub source_labels: BTreeMap<String, String>,
    /// The port that is dialled; absent for any.
    pub port: Option<u16>,
    /// Names in a TLS hello.
    #[serde(deserialize_with = "or_default")]
    pub sni_hosts: Vec<String>,
    /// The path.
    pub uri: Option<StringMatch>,
    /// The authority of a request, its port included.
    pub authority: Option<StringMatch>,
    /// Everything else.
    #[serde(flatten)]
    pub others: Others,
}

/// A condition on a text; without any field everything meets it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct StringMatch {
    /// The whole of it.
    pub exact: Option<String>,
    /// Its beginning.
    pub prefix: Option<String>,
    /// An RE2 expression for the whole of it.
    pub regex: Option<String>,
}

impl StringMatch {
    /// Whether every text meets it.
    pub(crate) fn is_open(&self) -> bool {
        let everything = self.regex.as_deref().is_none_or(|regex| regex == ".*");
        self.exact.is_none() && self.prefix.is_none() && everything
    }

    /// Whether every path meets it.
    pub(crate) fn takes_every_path(&self) -> bool {
        self.is_open() || self.prefix.as_deref() == Some("/")
    }
}

/// What is not read of an object. Only whether there is anything is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "BTreeMap<String, Value>")]
pub struct Others {
    /// Whether there is anything.
    pub any: bool,
}

impl From<BTreeMap<String, Value>> for Others {
    fn from(fields: BTreeMap<String, Value>) -> Self {
        // Those say nothing by themselves.
        const SILENT: [&str; 3] = ["ignoreUriCase", "name", "statPrefix"];
        let says = |value: &Value| match value {
            Value::Null => false,
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty(),
            _ => true,
        };
        let mut fields = fields.iter();
        Self {
            any: fields.any(|(name, value)| !SILENT.contains(&name.as_str()) && says(value)),
        }
    }
}

/// A destination and its share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct WeightedDestination {
    /// The destination.
    #[serde(deserialize_with = "or_default")]
    pub destination: Destination,
    /// Its share; 0 when it is the only one.
    #[serde(deserialize_with = "or_default")]
    pub weight: u32,
    /// Everything else, such as headers that it sets.
    #[serde(flatten)]
    pub others: Others,
}

/// A mirror.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HttpMirror {
    /// The destination.
    #[serde(deserialize_with = "or_default")]
    pub destination: Destination,
}

/// Where a route goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Destination {
    /// Host; a name without dots is a service in the VirtualService's namespace.
    #[serde(deserialize_with = "or_default")]
    pub host: String,
    /// Subset of a DestinationRule; empty for none.
    #[serde(deserialize_with = "or_default")]
    pub subset: String,
    /// Port; absent for the only one, or the one that was dialled.
    pub port: Option<PortNumber>,
}

/// A port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PortNumber {
    /// Its number.
    pub number: u16,
}

/// Name of a delegate VirtualService.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Delegate {
    /// Name.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Namespace; empty for that of the root.
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
}

/// `networking.istio.io DestinationRule`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct DestinationRule {
    /// Its name and labels.
    #[serde(default)]
    pub metadata: Metadata,
    /// What it does.
    #[serde(default, deserialize_with = "or_default")]
    pub spec: DestinationRuleSpec,
}

/// What a [`DestinationRule`] does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DestinationRuleSpec {
    /// Host, with a wildcard; a name without dots is a service in the rule's namespace.
    #[serde(deserialize_with = "or_default")]
    pub host: String,
    /// Namespaces that may see it; empty for all.
    #[serde(deserialize_with = "or_default")]
    pub export_to: Vec<String>,
    /// Load balancing, connection pools, TLS.
    pub traffic_policy: TrafficPolicy,
    /// Subsets.
    #[serde(deserialize_with = "or_default")]
    pub subsets: Vec<Subset>,
}

/// A subset of a [`DestinationRule`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Subset {
    /// Its name.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Load balancing, connection pools, TLS.
    pub traffic_policy: TrafficPolicy,
}

/// A traffic policy, of which hardly anything is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Value")]
pub struct TrafficPolicy {
    /// Whether it says anything.
    pub any: bool,
    /// Whether it chooses endpoints by what requests say (`consistentHash`), which it does by routes.
    pub hashes: bool,
}

impl From<Value> for TrafficPolicy {
    fn from(policy: Value) -> Self {
        let hashes = |policy: &Value| {
            let hash = policy.pointer("/loadBalancer/consistentHash");
            hash.is_some_and(|hash| !hash.is_null())
        };
        let ports = policy.get("portLevelSettings").and_then(Value::as_array);
        Self {
            any: policy.as_object().is_some_and(|fields| !fields.is_empty()),
            hashes: hashes(&policy) || ports.into_iter().flatten().any(hashes),
        }
    }
}

/// `networking.istio.io Sidecar`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Sidecar {
    /// Its name and labels.
    #[serde(default)]
    pub metadata: Metadata,
    /// What it says.
    #[serde(default, deserialize_with = "or_default")]
    pub spec: SidecarSpecification,
}

/// What a [`Sidecar`] says, and about whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SidecarSpecification {
    /// The pods; none for the namespace's default.
    pub workload_selector: Option<Selector>,
    /// What is in scope.
    #[serde(deserialize_with = "or_default")]
    pub egress: Vec<EgressListener>,
    /// Everything else: how traffic comes in, and what becomes of traffic to hosts that are not in scope.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// What a [`Sidecar`] brings into scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct EgressListener {
    /// Entries such as `./*`.
    #[serde(deserialize_with = "or_default")]
    pub hosts: Vec<String>,
    /// Everything else, such as a port for them.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// `security.istio.io PeerAuthentication`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct PeerAuthentication {
    /// Its name and labels.
    #[serde(default)]
    pub metadata: Metadata,
    /// What it asks of callers.
    #[serde(default, deserialize_with = "or_default")]
    pub spec: PeerAuthenticationSpec,
}

/// What a [`PeerAuthentication`] asks of callers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PeerAuthenticationSpec {
    /// The pods; none for all of the namespace, or of the mesh in the root namespace.
    pub selector: Option<Selector>,
    /// For every port.
    #[serde(deserialize_with = "or_default")]
    pub mtls: MutualTls,
    /// By port of the pod, written as text.
    #[serde(deserialize_with = "or_default")]
    pub port_level_mtls: std::collections::BTreeMap<String, MutualTls>,
}

/// A mode of mutual TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct MutualTls {
    /// `STRICT`, `PERMISSIVE`, `DISABLE`, or `UNSET` (also when empty).
    #[serde(deserialize_with = "or_default")]
    pub mode: String,
}

/// Whether a field holds anything but null and an empty list or map.
fn is_there<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    use serde_json::Value;
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    })
}
