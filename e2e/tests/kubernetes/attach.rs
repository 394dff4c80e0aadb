use anyhow::{Context, Result, ensure};
use lazymesh_e2e::{
    lab::{self, Lab, reference},
    wait,
};
use serde_json::{Value, json};

use crate::process::{ATTACH, Collector, set_mode, sidecar, until_sidecar};

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

#[test]
fn an_unknown_version_of_istio_is_refused() -> Result<()> {
    lab::disturbance("k8s-version", async |lab, namespace| {
        lab.namespace(lab::LAZYMESH_NAMESPACE, &[]).await?;
        let istio = format!("{namespace}-istio");
        lab.namespace(&istio, &[]).await?;
        let flags = ["--istio-namespace", &istio, ATTACH[0], ATTACH[1]];
        let plugin = reference(
            "extensions.istio.io/v1alpha1",
            "WasmPlugin",
            &istio,
            "lazymesh",
        );
        let mut mesh = reference("v1", "ConfigMap", &istio, "istio");
        mesh["data"] = json!({ "mesh": format!("rootNamespace: {istio}") });
        lab.cluster().apply_object(&mesh).await?;
        run_istiod(lab, &istio, "1.27.4").await?;
        let collector = Collector::start(lab, &flags).await?;
        wait::until("the collector to refuse", async || {
            let checks = collector.get("/readyz").await?["checks"].to_string();
            let said = checks.contains("1.27.4: unknown Istio version: expected one of 1.28,");
            ensure!(said && checks.contains("--istio"), "{checks}");
            Ok(())
        })
        .await?;
        ensure!(lab.cluster().find(&plugin).await?.is_none(), "attached");

        run_istiod(lab, &istio, "1.30.2").await?;
        wait::until("the filter to be attached", async || {
            let checks = collector.get("/readyz").await?["checks"].to_string();
            ensure!(!checks.contains("unknown Istio version"), "{checks}");
            Ok(())
        })
        .await?;
        ensure!(lab.cluster().find(&plugin).await?.is_some(), "not attached");
        drop(collector);

        // To upgrade Istio too far does not end what goes on, be it from before connections were counted.
        let mut tcp = plugin.clone();
        tcp["metadata"]["name"] = json!("lazymesh-tcp");
        lab.cluster().delete_object(&tcp).await?;
        run_istiod(lab, &istio, "1.99.0").await?;
        let collector = Collector::start(lab, &flags).await?;
        set_mode(lab, namespace, Some("enforce")).await?;
        until_sidecar(lab, namespace, "lazymesh-default")
            .await
            .with_context(|| collector.log())?;
        let checks = collector.get("/readyz").await?["checks"].to_string();
        ensure!(checks.contains("1.99.0: unknown Istio version"), "{checks}");
        lab.delete_namespace(&istio).await
    })
}

/// A pod as istiod's are, which says this version.
async fn run_istiod(lab: &Lab, namespace: &str, version: &str) -> Result<()> {
    let mut pod = reference("v1", "Pod", namespace, "istiod");
    pod["metadata"]["labels"] = json!({ "app": "istiod", "app.kubernetes.io/version": version });
    pod["spec"] = json!({ "containers": [{ "name": "discovery", "image": "pilot" }] });
    lab.cluster().apply_object(&pod).await?;
    let mut status = reference("v1", "Pod", namespace, "istiod");
    status["status"] = json!({ "phase": "Running" });
    lab.cluster().apply_status(&status).await
}
