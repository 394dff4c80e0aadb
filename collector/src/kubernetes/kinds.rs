//! Names the kinds of the Kubernetes API: those that core reads, and what else the collector needs.

use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::client::Client;
use lazymesh_core::{Kind, KindApi, Presence};

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
) -> ApiKind {
    ApiKind {
        group,
        version,
        kind,
        plural,
        core: None,
    }
}

pub(crate) const NAMESPACE: ApiKind = ApiKind::of(Kind::Namespace);
pub(crate) const SERVICE: ApiKind = ApiKind::of(Kind::Service);
pub(crate) const POD: ApiKind = ApiKind::of(Kind::Pod);
pub(crate) const SIDECAR: ApiKind = ApiKind::of(Kind::Sidecar);
pub(crate) const CONFIG_MAP: ApiKind = kind("", "v1", "ConfigMap", "configmaps");
pub(crate) const DEPLOYMENT: ApiKind = kind("apps", "v1", "Deployment", "deployments");
pub(crate) const LEASE: ApiKind = kind("coordination.k8s.io", "v1", "Lease", "leases");
pub(crate) const EVENT: ApiKind = kind("events.k8s.io", "v1", "Event", "events");
pub(crate) const ENVOY_FILTER: ApiKind = kind(
    "networking.istio.io",
    "v1alpha3",
    "EnvoyFilter",
    "envoyfilters",
);
pub(crate) const WASM_PLUGIN: ApiKind = kind(
    "extensions.istio.io",
    "v1alpha1",
    "WasmPlugin",
    "wasmplugins",
);

/// What the attachment is made of.
pub(crate) const ATTACHMENT: [ApiKind; 3] = [ENVOY_FILTER, WASM_PLUGIN, SERVICE];

/// What the inventory is made of, in all namespaces.
pub(crate) fn inventory() -> impl Iterator<Item = ApiKind> {
    Kind::ALL.iter().copied().map(ApiKind::of)
}

impl ApiKind {
    /// A kind that core reads.
    pub(crate) const fn of(core: Kind) -> Self {
        let KindApi {
            group,
            version,
            kind,
            plural,
            ..
        } = core.api();
        Self {
            group,
            version,
            kind,
            plural,
            core: Some(core),
        }
    }

    /// Whether a cluster may do without its CustomResourceDefinition.
    pub(crate) fn is_optional(&self) -> bool {
        let presence = self.core.map(|kind| kind.api().presence);
        presence == Some(Presence::Optional)
    }

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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_chart_grants_reading_the_whole_inventory_and_telling_of_it() {
        let role =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/lazymesh/rbac/collector.yaml");
        let role = std::fs::read_to_string(role).unwrap();
        let rules: Vec<Value> = serde_saphyr::from_str(&role).unwrap();
        let has = |rule: &Value, field: &str, value: &str| {
            let list = rule[field].as_array().into_iter().flatten();
            list.clone().any(|item| item == value)
        };
        let read = inventory().flat_map(|kind| ["list", "watch"].map(|verb| (verb, kind)));
        let tell = ["create", "patch"].map(|verb| (verb, EVENT));
        for (verb, kind) in read.chain(tell) {
            let grants = |rule: &Value| {
                has(rule, "apiGroups", kind.group)
                    && has(rule, "resources", kind.plural)
                    && has(rule, "verbs", verb)
            };
            assert!(rules.iter().any(grants), "{verb} {}", kind.plural);
        }
    }
}
