use anyhow::{Context, Result, ensure};
use lazymesh_e2e::{
    lab::{self, Lab, reference},
    wait,
};
use serde_json::{Value, json};

use crate::process::{ATTACH, Collector, set_mode, sidecar};

/// A port that nobody else in the lab has.
const PORT: u16 = 8181;

async fn apply_service(lab: &Lab, namespace: &str, name: &str, port: &str) -> Result<Value> {
    let mut service = reference("v1", "Service", namespace, name);
    service["spec"] = json!({ "ports": [{ "name": port, "port": PORT }] });
    lab.cluster().apply_object(&service).await?;
    Ok(service)
}

async fn anchor(lab: &Lab) -> Result<Value> {
    let anchor = reference("v1", "Service", lab::LAZYMESH_NAMESPACE, "lazymesh-ports");
    let found = lab.cluster().find(&anchor).await?;
    Ok(json!(found.context("no port anchor")?))
}

async fn until_anchored(lab: &Lab, expect: bool) -> Result<()> {
    wait::until("the port anchor", async || {
        let anchor = anchor(lab).await?;
        let ports = anchor["spec"]["ports"].as_array().context("no ports")?;
        let found = ports.iter().any(|port| port["port"] == PORT);
        ensure!(found == expect, "{anchor}");
        Ok(())
    })
    .await
}

#[test]
fn the_port_anchor_is_in_step_with_the_mesh() -> Result<()> {
    lab::disturbance("k8s-attach", async |lab, namespace| {
        lab.namespace(lab::LAZYMESH_NAMESPACE, &[]).await?;
        set_mode(lab, namespace, Some("enforce")).await?;
        let collector = Collector::start(lab, &ATTACH).await?;
        let web = apply_service(lab, namespace, "web", "http").await?;
        until_anchored(lab, true)
            .await
            .with_context(|| collector.log())?;

        // A server that speaks first would wait for ever behind the anchor's listener.
        let db = apply_service(lab, namespace, "db", "tcp-db").await?;
        let host = json!(format!("{namespace}/db.{namespace}.svc.cluster.local"));
        wait::until("the TCP service to be in scope", async || {
            let found = sidecar(lab, namespace, "lazymesh-default")
                .await?
                .context("none")?;
            let hosts = found["spec"]["egress"][0]["hosts"]
                .as_array()
                .context("no hosts")?;
            ensure!(hosts.contains(&host), "{hosts:?}");
            Ok(())
        })
        .await
        .with_context(|| collector.log())?;

        lab.cluster().delete_object(&web).await?;
        lab.cluster().delete_object(&db).await?;
        until_anchored(lab, false).await
    })
}
