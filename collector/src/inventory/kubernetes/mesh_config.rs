//! Reads what lazymesh needs of Istio's mesh configuration, the ConfigMap `istio`.

use std::collections::{BTreeMap, BTreeSet};

use kube::api::DynamicObject;
use lazymesh_core::{DefaultExportTo, EgressHost, Inventory, LabelSelector, Mesh, fit};
use serde::Deserialize;
use serde_json::Value;

use crate::inventory::directory::yaml::{self, SyntaxError};

/// Of Istio's `MeshConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct MeshConfigMap {
    root_namespace: Option<String>,
    trust_domain: Option<String>,
    trust_domain_aliases: Vec<String>,
    discovery_selectors: Vec<LabelSelector>,
    outbound_traffic_policy: OutboundTrafficPolicy,
    extension_providers: Vec<BTreeMap<String, Value>>,
    default_service_export_to: Vec<String>,
    default_virtual_service_export_to: Vec<String>,
    default_destination_rule_export_to: Vec<String>,
    default_config: ProxyConfig,
}

/// Of Istio's `OutboundTrafficPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct OutboundTrafficPolicy {
    mode: String,
}

/// Of Istio's `ProxyConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ProxyConfig {
    proxy_metadata: BTreeMap<String, String>,
}

/// The mode in which Istio closes what it knows no host for.
const REGISTRY_ONLY: &str = "REGISTRY_ONLY";
/// Proxy metadata by which sidecars answer DNS. Pods say it themselves; this is for what is not a pod, and for the time
/// before the first one.
const DNS_CAPTURE: &str = "ISTIO_META_DNS_CAPTURE";

impl MeshConfigMap {
    /// Reads a ConfigMap; the error says what is wrong with it.
    pub(crate) fn read(map: &DynamicObject) -> Result<Self, String> {
        let text = map.data.pointer("/data/mesh").and_then(Value::as_str);
        let text = text.ok_or("expected the key `mesh`, got none of that name")?;
        let Some(document) = yaml::documents(text).into_iter().next() else {
            return Ok(Self::default());
        };
        let document = document.map_err(|error| {
            let SyntaxError { line, reason, .. } = error;
            format!("key `mesh`, line {line}: {reason}")
        })?;
        let mut value = document.value;
        drop_nulls(&mut value);
        fit(&value).map_err(|misfit| format!("key `mesh`: {misfit}"))
    }

    /// Istio's own defaults stand where it says nothing: its namespace, and `cluster.local`.
    pub(crate) fn mesh(&self, cluster_domain: &str, istio_namespace: &str) -> Mesh {
        let or = |said: &Option<String>, default: &str| {
            let said = said.as_deref().filter(|said| !said.is_empty());
            said.unwrap_or(default).to_owned()
        };
        Mesh {
            cluster_domain: cluster_domain.to_owned(),
            trust_domain: or(&self.trust_domain, &Mesh::default().trust_domain),
            trust_domain_aliases: self.trust_domain_aliases.clone(),
            root_namespace: or(&self.root_namespace, istio_namespace),
            default_export_to: DefaultExportTo {
                services: self.default_service_export_to.clone(),
                virtual_services: self.default_virtual_service_export_to.clone(),
                destination_rules: self.default_destination_rule_export_to.clone(),
            },
            registry_only: self.outbound_traffic_policy.mode == REGISTRY_ONLY,
            discovery_selectors: self.discovery_selectors.clone(),
        }
    }

    /// What every sidecar must see because of this configuration.
    pub(crate) fn always_visible(&self, inventory: &Inventory) -> BTreeSet<EgressHost> {
        let mut hosts = self.provider_hosts(inventory);
        let metadata = &self.default_config.proxy_metadata;
        if metadata
            .get(DNS_CAPTURE)
            .is_some_and(|capture| capture == "true")
        {
            hosts.extend(inventory.hosts_of_istio_dns().cloned());
        }
        hosts
    }

    /// The services of the extension providers, each `[<namespace>/]<host>`: every sidecar may have to call one.
    fn provider_hosts(&self, inventory: &Inventory) -> BTreeSet<EgressHost> {
        let providers = self.extension_providers.iter().flat_map(BTreeMap::values);
        let services = providers.filter_map(|provider| provider.get("service")?.as_str());
        services
            .flat_map(|service| resolve(service, inventory))
            .collect()
    }
}

/// To Istio a field that is null is one that is not there.
fn drop_nulls(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, field| !field.is_null());
        fields.values_mut().for_each(drop_nulls);
    }
}

fn resolve(service: &str, inventory: &Inventory) -> BTreeSet<EgressHost> {
    if let Some((namespace, host)) = service.split_once('/') {
        return EgressHost::new(namespace, host).into_iter().collect();
    }
    let known = inventory.egress_hosts_named(service);
    if !known.is_empty() {
        return known;
    }
    // It may come later; a Kubernetes name says its namespace.
    let suffix = format!(".svc.{}", inventory.mesh().cluster_domain);
    let name = service
        .strip_suffix(&suffix)
        .and_then(|name| name.rsplit_once('.'));
    name.and_then(|(_, namespace)| EgressHost::new(namespace, service).ok())
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use lazymesh_core::Object;
    use serde_json::json;

    use super::*;

    fn read(mesh: &str) -> Result<MeshConfigMap, String> {
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "istio" }, "data": { "mesh": mesh },
        });
        MeshConfigMap::read(&serde_json::from_value(map).unwrap())
    }

    #[test]
    fn names_have_istio_s_defaults() {
        let mesh = |text: &str| read(text).unwrap().mesh("k8s.example", "istio-system");
        let default = mesh("");
        assert_eq!(default.trust_domain, "cluster.local");
        assert_eq!(default.root_namespace, "istio-system");
        assert_eq!(default.cluster_domain, "k8s.example");
        let said =
            mesh("trustDomain: td\ntrustDomainAliases: [old]\nrootNamespace: root\nunknown: [1]");
        assert_eq!(said.trust_domain_aliases, ["old"]);
        assert_eq!(
            (said.trust_domain, said.root_namespace),
            ("td".to_owned(), "root".to_owned())
        );
        assert_eq!(mesh("# nothing yet\n"), default);
        assert_eq!(mesh("trustDomainAliases:\ndefaultConfig:\n"), default);
        let refused = |text: &str| read(text).unwrap_err();
        assert_eq!(
            refused("a: b\ntrustDomain: ["),
            "key `mesh`, line 3: column 1: a value that is missing, or a brace or bracket that is not closed"
        );
        assert_eq!(
            refused("trustDomainAliases: old"),
            "key `mesh`: trustDomainAliases: expected a list, got a text"
        );
        let export = mesh("defaultServiceExportTo: ['.']").default_export_to;
        assert_eq!(export.services, ["."]);
        assert_eq!(mesh("").default_export_to, DefaultExportTo::default());
        let selecting = mesh("discoverySelectors: [{matchLabels: {mesh: \"on\"}}]");
        assert_eq!(selecting.discovery_selectors[0].match_labels["mesh"], "on");
        assert!(!mesh("outboundTrafficPolicy: {mode: ALLOW_ANY}").registry_only);
        assert!(mesh("outboundTrafficPolicy: {mode: REGISTRY_ONLY}").registry_only);
    }

    #[test]
    fn names_of_captured_dns_are_visible() {
        let mut inventory = Inventory::default();
        let entry = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
            "metadata": { "name": "db", "namespace": "shop" },
            "spec": { "hosts": ["db.internal"], "resolution": "STATIC" },
        });
        inventory.apply(Object::from_value(entry).unwrap().unwrap());
        let visible = |mesh: &str| read(mesh).unwrap().always_visible(&inventory).len();
        assert_eq!(visible(""), 0);
        let capture = "defaultConfig: {proxyMetadata: {ISTIO_META_DNS_CAPTURE: \"true\"}}";
        assert_eq!(visible(capture), 1);
    }

    #[test]
    fn providers_have_hosts() {
        let mut inventory = Inventory::default();
        let entry = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
            "metadata": { "name": "als", "namespace": "logs" },
            "spec": { "hosts": ["als.example"], "ports": [{ "number": 80 }] },
        });
        inventory.apply(Object::from_value(entry).unwrap().unwrap());
        let mesh = "extensionProviders:
        - name: a
          envoyExtAuthzGrpc: { service: authz/authz.example, port: 9000 }
        - name: b
          opentelemetry: { service: otel.tracing.svc.cluster.local, port: 4317 }
        - name: c
          envoyOtelAls: { service: als.example, port: 80 }
        - name: d
          prometheus: {}
        - name: e
          zipkin: { service: nobody.example, port: 80 }";
        let hosts = read(mesh).unwrap().provider_hosts(&inventory);
        let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        assert_eq!(
            hosts,
            [
                "authz/authz.example",
                "logs/als.example",
                "tracing/otel.tracing.svc.cluster.local"
            ]
        );
    }
}
