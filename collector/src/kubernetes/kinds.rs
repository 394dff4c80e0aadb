//! The kinds that are watched: what core reads, and nothing else.

use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::client::Client;
use lazymesh_core::Kind;

/// A kind of the Kubernetes API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ApiKind {
    /// API group; empty for Kubernetes' own core.
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) kind: &'static str,
    /// As it stands in URLs and RBAC rules.
    pub(super) plural: &'static str,
    /// What core calls it; none for what it does not read.
    pub(super) core: Option<Kind>,
}

const fn kind(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    core: Option<Kind>,
) -> ApiKind {
    ApiKind {
        group,
        version,
        kind,
        plural,
        core,
    }
}

const CORE: &str = "";
const NETWORKING: &str = "networking.istio.io";
const SECURITY: &str = "security.istio.io";
const DISCOVERY: &str = "discovery.k8s.io";

pub(super) const NAMESPACE: ApiKind =
    kind(CORE, "v1", "Namespace", "namespaces", Some(Kind::Namespace));
pub(super) const SERVICE: ApiKind = kind(CORE, "v1", "Service", "services", Some(Kind::Service));
pub(super) const ENDPOINT_SLICE: ApiKind = kind(
    DISCOVERY,
    "v1",
    "EndpointSlice",
    "endpointslices",
    Some(Kind::EndpointSlice),
);
pub(super) const POD: ApiKind = kind(CORE, "v1", "Pod", "pods", Some(Kind::Pod));
pub(super) const SERVICE_ENTRY: ApiKind = kind(
    NETWORKING,
    "v1",
    "ServiceEntry",
    "serviceentries",
    Some(Kind::ServiceEntry),
);
pub(super) const VIRTUAL_SERVICE: ApiKind = kind(
    NETWORKING,
    "v1",
    "VirtualService",
    "virtualservices",
    Some(Kind::VirtualService),
);
pub(super) const DESTINATION_RULE: ApiKind = kind(
    NETWORKING,
    "v1",
    "DestinationRule",
    "destinationrules",
    Some(Kind::DestinationRule),
);
pub(super) const SIDECAR: ApiKind =
    kind(NETWORKING, "v1", "Sidecar", "sidecars", Some(Kind::Sidecar));
pub(super) const PEER_AUTHENTICATION: ApiKind = kind(
    SECURITY,
    "v1",
    "PeerAuthentication",
    "peerauthentications",
    Some(Kind::PeerAuthentication),
);
pub(super) const CONFIG_MAP: ApiKind = kind(CORE, "v1", "ConfigMap", "configmaps", None);

pub(super) const WASM_PLUGIN: ApiKind = kind(
    "extensions.istio.io",
    "v1alpha1",
    "WasmPlugin",
    "wasmplugins",
    None,
);
pub(super) const ENVOY_FILTER: ApiKind =
    kind(NETWORKING, "v1alpha3", "EnvoyFilter", "envoyfilters", None);
pub(super) const DEPLOYMENT: ApiKind = kind("apps", "v1", "Deployment", "deployments", None);

/// What the attachment is made of.
pub(super) const ATTACHMENT: [ApiKind; 3] = [ENVOY_FILTER, WASM_PLUGIN, SERVICE];

/// What the inventory is made of, in all namespaces.
pub(super) const INVENTORY: [ApiKind; 9] = [
    NAMESPACE,
    SERVICE,
    ENDPOINT_SLICE,
    POD,
    SERVICE_ENTRY,
    VIRTUAL_SERVICE,
    DESTINATION_RULE,
    SIDECAR,
    PEER_AUTHENTICATION,
];

impl ApiKind {
    /// Whether istiod reads only those objects that are not labelled for another revision.
    pub(super) fn is_istio(&self) -> bool {
        self.group.ends_with(".istio.io")
    }

    pub(super) fn resource(&self) -> ApiResource {
        let kind = GroupVersionKind::gvk(self.group, self.version, self.kind);
        ApiResource::from_gvk_with_plural(&kind, self.plural)
    }

    /// The objects of every namespace, or those of none.
    pub(super) fn all(&self, client: &Client) -> Api<DynamicObject> {
        Api::all_with(client.clone(), &self.resource())
    }

    pub(super) fn within(&self, client: &Client, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(client.clone(), namespace, &self.resource())
    }

    pub(super) fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }
}
