use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context, Result};
use lazymesh_core::{EgressHost, Inventory, Mesh as Settings, Object, Workload};
use serde_json::{Value, json};

use super::call::Call;

/// Label that names a pod's workload.
const CANONICAL_NAME: &str = "service.istio.io/canonical-name";

/// A mesh, one workload of it, and what that calls.
#[derive(Clone, Debug)]
pub struct Mesh {
    /// What a report calls it.
    pub name: String,
    /// What of its configuration lazymesh reads.
    pub settings: Settings,
    /// Whether hosts outside the mesh are closed.
    pub registry_only: bool,
    /// Objects of Kubernetes and Istio, no two of one key.
    pub objects: Vec<Value>,
    /// Whether Istio is to take even what its webhook refuses.
    pub lenient: bool,
    /// Who calls.
    pub caller: Workload,
    /// What it has learned before.
    pub learned: Vec<EgressHost>,
    /// What it calls.
    pub calls: Vec<Call>,
}

/// Objects, of each key the last one, as for `kubectl apply`.
pub(super) fn applied(objects: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let key = |object: &Value| {
        let metadata = &object["metadata"];
        [&object["kind"], &metadata["namespace"], &metadata["name"]].map(ToString::to_string)
    };
    let objects: BTreeMap<_, _> = objects
        .into_iter()
        .map(|object| (key(&object), object))
        .collect();
    objects.into_values().collect()
}

impl Mesh {
    /// What core makes of the objects. Those that it does not read are istiod's alone.
    pub(super) fn inventory(&self) -> Result<Inventory> {
        let mut inventory = Inventory::new(Settings {
            registry_only: self.registry_only,
            ..self.settings.clone()
        });
        for object in &self.objects {
            let read = Object::from_value(object.clone())
                .with_context(|| format!("{}: core does not read {object}", self.name))?;
            read.map(|object| inventory.apply(object));
        }
        Ok(inventory)
    }

    /// The pod that calls, where there is one.
    fn pod(&self) -> Option<&Value> {
        self.objects.iter().find(|object| {
            let metadata = &object["metadata"];
            object["kind"] == "Pod"
                && metadata["namespace"] == self.caller.namespace.as_str()
                && metadata["labels"][CANONICAL_NAME] == self.caller.name.as_str()
        })
    }

    /// Labels of the namespace that it calls from.
    pub(super) fn namespace_labels(&self) -> Value {
        let own = self.objects.iter().find(|object| {
            object["kind"] == "Namespace"
                && object["metadata"]["name"] == self.caller.namespace.as_str()
        });
        own.map_or(Value::Null, |namespace| {
            namespace["metadata"]["labels"].clone()
        })
    }

    /// Labels of the pod that calls.
    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        let own = (CANONICAL_NAME.to_owned(), self.caller.name.clone());
        let labels = self.pod().map(|pod| &pod["metadata"]["labels"]);
        let labels = labels.and_then(Value::as_object).into_iter().flatten();
        labels
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .chain([own])
            .collect()
    }

    /// Address of the pod that calls.
    pub(super) fn address(&self) -> String {
        let address = self.pod().and_then(|pod| pod["status"]["podIP"].as_str());
        address.unwrap_or("10.254.0.1").to_owned()
    }

    /// Whether the pod that calls can reach its sidecar with a call: what it dials at its own address stays on its loopback device, and it has
    /// addresses of one family.
    pub(super) fn can_dial(&self, call: &Call) -> bool {
        let (own, dialled) = (self.address(), call.destination.ip());
        let own: Option<IpAddr> = own.parse().ok();
        own.is_none_or(|own| own != dialled && own.is_ipv4() == dialled.is_ipv4())
    }

    /// Service account of the pod that calls.
    pub(super) fn service_account(&self) -> String {
        let account = self
            .pod()
            .and_then(|pod| pod["spec"]["serviceAccountName"].as_str());
        account.unwrap_or("default").to_owned()
    }

    /// The configuration of istiod's that stands for `settings`.
    pub(super) fn mesh_config(&self) -> Value {
        let mode = if self.registry_only {
            "REGISTRY_ONLY"
        } else {
            "ALLOW_ANY"
        };
        let export_to = &self.settings.default_export_to;
        json!({
            "defaultDestinationRuleExportTo": export_to.destination_rules,
            "defaultServiceExportTo": export_to.services,
            "defaultVirtualServiceExportTo": export_to.virtual_services,
            "discoverySelectors": self.settings.discovery_selectors,
            "outboundTrafficPolicy": {"mode": mode},
            "rootNamespace": self.settings.root_namespace,
            "trustDomain": self.settings.trust_domain,
            "trustDomainAliases": self.settings.trust_domain_aliases,
        })
    }
}
