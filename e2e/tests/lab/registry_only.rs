//! `REGISTRY_ONLY`: services of the mesh work as under `ALLOW_ANY`, everything else is refused, as Istio does it.

use anyhow::{Result, ensure};
use lazymesh_e2e::{
    lab::{self, Lab, PodSpec},
    wait,
};
use serde_json::json;

use crate::{
    asking::{DIRECT, apply, ask, until_taken},
    lazy::{Lazy, cluster, until_lazy},
};

#[test]
fn services_are_learned_and_the_rest_is_refused() -> Result<()> {
    lab::disturbance("registry-only", async |lab, namespace| {
        let policy = json!({ "outboundTrafficPolicy": { "mode": "REGISTRY_ONLY" } });
        lab.configure_mesh(&policy).await?;
        let outcome = call(lab, namespace).await;
        lab.configure_mesh(&json!({})).await?;
        outcome
    })
}

async fn call(lab: &Lab, namespace: &str) -> Result<()> {
    let outside = format!("{namespace}.example");
    let _outside = lab.external(&[outside.as_str()]).await?;
    let shaped = json!({ "host": "shaped", "trafficPolicy": { "loadBalancer": { "simple": "LEAST_REQUEST" } } });
    lab.namespace(namespace, &[]).await?;
    lab.service(namespace, "shaped").await?;
    apply(lab, "DestinationRule", (namespace, "shaped"), shaped).await?;
    let lazy = Lazy::start(lab, namespace).await?;
    let _shaped = lab.pod(PodSpec::new(namespace, "shaped")).await?;
    lab.until_reachable(namespace, "shaped", 80).await?;
    let shaped = cluster(namespace, "shaped");
    until_lazy(&lazy.client, &shaped).await?;
    wait::until("REGISTRY_ONLY to rule", async || {
        let routes = lazy
            .client
            .envoy_admin("/config_dump?resource=dynamic_route_configs")
            .await?;
        ensure!(routes.contains("\"block_all\""), "{routes}");
        Ok(())
    })
    .await?;

    let first = ask(&lazy.client, "http://server").await?;
    assert_eq!(first.cluster, DIRECT);
    let caller = format!("spiffe://cluster.local/ns/{namespace}/sa/caller");
    assert_eq!(first.echo.caller(), Some(caller.as_str()));
    until_taken(&lazy.client, "http://server", &lazy.cluster()).await?;
    let held = ask(&lazy.client, "http://shaped").await?;
    assert_eq!(held.cluster, shaped);

    let reply = lazy.client.get(&format!("http://{outside}/")).await?;
    ensure!(reply.status == 502, "{reply:?}");
    let lazymesh = lab::lazymesh().await?;
    wait::until("the host to be recorded", async || {
        let hosts = lazymesh.admin("/v1/external-hosts").await?;
        ensure!(hosts.contains(&outside), "{hosts}");
        Ok(())
    })
    .await
}
