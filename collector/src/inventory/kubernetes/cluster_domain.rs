//! Finds the DNS domain of the cluster. MeshConfig does not say it; the values that Istio's injector makes sidecars of do.

use backon::Retryable;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use lazymesh_core::{EgressHost, Mesh};
use serde_json::Value;

use crate::kubernetes::KubernetesConfig;
use crate::kubernetes::KubernetesError;
use crate::kubernetes::error::ask;
use crate::runtime::retry::retries;

/// The injector's ConfigMap of a control plane without a revision.
const INJECTOR: &str = "istio-sidecar-injector";

/// The injector's domain, and Kubernetes' default where there is no injector or it says none. Waits for as long as
/// Kubernetes does not answer: with a wrong domain no name would be resolved.
pub(crate) async fn find(client: &Client, config: &KubernetesConfig) -> String {
    let ask = || ask_injector(client, config);
    let told = |error: &KubernetesError, wait| {
        tracing::warn!(%error, retry_in = ?wait, "cannot find out the cluster's domain; --cluster-domain would say it");
    };
    let said = ask.retry(retries()).notify(told).await;
    let said = said.ok().flatten();
    said.unwrap_or_else(|| Mesh::default().cluster_domain)
}

async fn ask_injector(
    client: &Client,
    config: &KubernetesConfig,
) -> Result<Option<String>, KubernetesError> {
    let (namespace, name) = (&config.istio_namespace, config.of_revision(INJECTOR));
    let place = format!("ConfigMap {namespace}/{name}");
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let map = ask(&place, maps.get_opt(&name)).await?;
    Ok(map.as_ref().and_then(read))
}

/// What a ConfigMap of the injector says; nothing that could not be a domain.
fn read(map: &ConfigMap) -> Option<String> {
    let values = map.data.as_ref()?.get("values")?;
    let values: Value = serde_json::from_str(values).ok()?;
    let domain = values
        .pointer("/global/proxy/clusterDomain")
        .and_then(Value::as_str)?;
    // In the middle, since a host may end in a dot.
    EgressHost::new("any", format!("any.{domain}.any"))
        .ok()
        .map(|_| domain.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_injector_s_values_say_it() {
        let check = |values: &str, expect: Option<&str>| {
            let map = json!({ "metadata": { "name": INJECTOR }, "data": { "values": values } });
            let map = serde_json::from_value(map).unwrap();
            assert_eq!(read(&map).as_deref(), expect);
        };
        let domain = |domain: &str| json!({"global": {"proxy": {"clusterDomain": domain}}});
        check(&domain("k8s.example").to_string(), Some("k8s.example"));
        check(&domain("").to_string(), None);
        check(&domain("not a domain").to_string(), None);
        check("{}", None);
        check("no JSON", None);
    }
}
