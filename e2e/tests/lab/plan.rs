//! What a plan says of a scope is what a real Envoy then has.

use anyhow::{Context, Result, ensure};
use lazymesh_e2e::lab::{self, Lab, Pod, PodSpec, reference};
use lazymesh_e2e::wait;
use serde_json::{Value, json};

use crate::lazy::{cluster, enforce, until_known, until_lazy, until_learned};

#[test]
fn a_plan_counts_what_envoy_has() -> Result<()> {
    lab::scenario("plan", async |lab, namespace| {
        lab::lazymesh().await?;
        for service in ["called", "never"] {
            lab.service(namespace, service).await?;
        }
        with_subsets(lab, namespace).await?;
        let (client, _called) = tokio::try_join!(
            lab.pod(PodSpec::new(namespace, "client")),
            lab.pod(PodSpec::new(namespace, "called")),
        )?;
        lab.until_reachable(namespace, "called", 80).await?;
        let never = cluster(namespace, "never");
        until_known(&client, &never).await?;
        until_as_planned(&client, namespace, "full").await?;

        enforce(lab, namespace).await?;
        until_lazy(&client, &never).await?;
        ensure!(client.get("http://called/").await?.status == 200);
        until_learned(lab, namespace, "lazymesh-client", "called").await?;
        until_known(&client, &cluster(namespace, "called")).await?;
        until_as_planned(&client, namespace, "scoped").await
    })
}

/// A Service of two ports, each of which has two subsets.
async fn with_subsets(lab: &Lab, namespace: &str) -> Result<()> {
    let mut service = reference("v1", "Service", namespace, "subsets");
    let port = |number: u16| json!({ "name": format!("http-{number}"), "port": number });
    service["spec"] = json!({ "ports": [port(80), port(8081)] });
    lab.cluster().apply_object(&service).await?;
    let api = "networking.istio.io/v1";
    let mut rule = reference(api, "DestinationRule", namespace, "subsets");
    let subset = |version: &str| json!({ "name": version, "labels": { "version": version } });
    rule["spec"] = json!({ "host": "subsets", "subsets": [subset("v1"), subset("v2")] });
    lab.cluster().apply_object(&rule).await?;
    Ok(())
}

/// Waits until a client's Envoy has as many outbound clusters as its plan says: other scenarios come and go meanwhile.
async fn until_as_planned(client: &Pod, namespace: &str, scope: &str) -> Result<()> {
    wait::until("Envoy to have what is planned", async || {
        let plan = format!("/v1/plan/{namespace}/client");
        let plan: Value = lab::lazymesh().await?.json(&plan).await?;
        let planned = plan[scope]["clusters"].as_u64().context("no count")?;
        let found = outbound(client).await?;
        ensure!(found == planned, "planned {planned}, Envoy has {found}");
        Ok(())
    })
    .await
}

async fn outbound(client: &Pod) -> Result<u64> {
    let dump = client
        .envoy_admin("/config_dump?resource=dynamic_active_clusters")
        .await?;
    let dump: Value = serde_json::from_str(&dump)?;
    let clusters = dump["configs"].as_array().context("no clusters")?;
    let names = clusters.iter().map(|it| &it["cluster"]["name"]);
    let outbound = names.filter(|name| name.as_str().is_some_and(|it| it.starts_with("outbound|")));
    Ok(outbound.count() as u64)
}
