//! The kinds that are watched: what core reads, and nothing else.

use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::client::Client;
use lazymesh_core::Kind;

/// A kind of the Kubernetes API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ApiKind {
    /// API group; empty for Kubernetes' own core.
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
    /// As it stands in URLs and RBAC rules.
    pub(crate) plural: &'static str,
    /// What core calls it; none for what it does not read.
    pub(crate) core: Option<Kind>,
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

pub(crate) const NAMESPACE: ApiKind =
    kind(CORE, "v1", "Namespace", "namespaces", Some(Kind::Namespace));
pub(crate) const SERVICE: ApiKind = kind(CORE, "v1", "Service", "services", Some(Kind::Service));
pub(crate) const ENDPOINT_SLICE: ApiKind = kind(
    DISCOVERY,
    "v1",
    "EndpointSlice",
    "endpointslices",
    Some(Kind::EndpointSlice),
);
pub(crate) const POD: ApiKind = kind(CORE, "v1", "Pod", "pods", Some(Kind::Pod));
pub(crate) const SERVICE_ENTRY: ApiKind = kind(
    NETWORKING,
    "v1",
    "ServiceEntry",
    "serviceentries",
    Some(Kind::ServiceEntry),
);
pub(crate) const VIRTUAL_SERVICE: ApiKind = kind(
    NETWORKING,
    "v1",
    "VirtualService",
    "virtualservices",
    Some(Kind::VirtualService),
);
pub(crate) const DESTINATION_RULE: ApiKind = kind(
    NETWORKING,
    "v1",
    "DestinationRule",
    "destinationrules",
    Some(Kind::DestinationRule),
);
pub(crate) const SIDECAR: ApiKind =
    kind(NETWORKING, "v1", "Sidecar", "sidecars", Some(Kind::Sidecar));
pub(crate) const PEER_AUTHENTICATION: ApiKind = kind(
    SECURITY,
    "v1",
    "PeerAuthentication",
    "peerauthentications",
    Some(Kind::PeerAuthentication),
);
pub(crate) const CONFIG_MAP: ApiKind = kind(CORE, "v1", "ConfigMap", "configmaps", None);

pub(crate) const WASM_PLUGIN: ApiKind = kind(
    "extensions.istio.io",
    "v1alpha1",
    "WasmPlugin",
    "wasmplugins",
    None,
);
pub(crate) const ENVOY_FILTER: ApiKind =
    kind(NETWORKING, "v1alpha3", "EnvoyFilter", "envoyfilters", None);
pub(crate) const DEPLOYMENT: ApiKind = kind("apps", "v1", "Deployment", "deployments", None);

/// What the attachment is made of.
pub(crate) const ATTACHMENT: [ApiKind; 3] = [ENVOY_FILTER, WASM_PLUGIN, SERVICE];

/// What the inventory is made of, in all namespaces.
pub(crate) const INVENTORY: [ApiKind; 9] = [
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
    pub(crate) fn is_istio(&self) -> bool {
        self.group.ends_with(".istio.io")
    }

    pub(crate) fn resource(&self) -> ApiResource {
        let kind = GroupVersionKind::gvk(self.group, self.version, self.kind);
        ApiResource::from_gvk_with_plural(&kind, self.plural)
    }

    /// The objects of every namespace, or those of none.
    pub(crate) fn all(&self, client: &Client) -> Api<DynamicObject> {
        Api::all_with(client.clone(), &self.resource())
    }

    pub(crate) fn within(&self, client: &Client, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(client.clone(), namespace, &self.resource())
    }

    pub(crate) fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }
}
