//! TCP, which is not lazy yet: what could not be learned is not taken away.

use anyhow::{Context, Result, ensure};
use lazymesh_e2e::{
    lab::{self, Lab},
    wait,
};
use serde_json::json;

use crate::lazy::Lazy;

#[test]
fn a_tcp_service_is_reached_over_mtls_from_a_lazy_client() -> Result<()> {
    lab::scenario("tcp", is_greeted)
}

#[test]
fn so_is_one_on_a_port_of_http() -> Result<()> {
    lab::scenario("tcp-anchored", async |lab, namespace| {
        let mut service = lab::reference("v1", "Service", namespace, "web");
        service["spec"] = json!({
            "selector": { "app": "server" },
            "ports": [{ "name": "http", "port": lab::GREETING, "targetPort": lab::HTTP }],
        });
        lab.cluster().apply_object(&service).await?;
        until_anchored(lab, lab::GREETING).await?;
        is_greeted(lab, namespace).await
    })
}

/// Waits until the port anchor keeps listeners of HTTP on a port.
async fn until_anchored(lab: &Lab, port: u16) -> Result<()> {
    lab::lazymesh().await?;
    let anchor = lab::reference("v1", "Service", lab::LAZYMESH_NAMESPACE, "lazymesh-ports");
    wait::until("a port to be anchored", async || {
        let anchor = lab.cluster().find(&anchor).await?.context("no anchor")?;
        let ports = anchor.data["spec"]["ports"].to_string();
        ensure!(ports.contains(&format!("\"http-{port}\"")), "{ports}");
        Ok(())
    })
    .await
}

async fn is_greeted(lab: &Lab, namespace: &str) -> Result<()> {
    let mut service = lab::reference("v1", "Service", namespace, "greeter");
    service["spec"] = json!({
        "selector": { "app": "server" },
        "ports": [{ "name": "tcp", "port": lab::GREETING }],
    });
    lab.cluster().apply_object(&service).await?;
    let lazy = Lazy::start(lab, namespace).await?;
    lab.until_reachable(namespace, "greeter", lab::GREETING)
        .await?;
    // The server is STRICT and speaks first: it greets nobody who dials in plain text.
    let dial = format!("timeout 5 head -n1 < /dev/tcp/greeter/{}", lab::GREETING);
    wait::until("the greeting", async || {
        let output = lazy.client.command("bash").args(["-c", &dial]).output();
        let output = output.context("cannot start bash")?;
        let greeting = String::from_utf8_lossy(&output.stdout);
        ensure!(greeting.trim() == "hello from server", "{output:?}");
        Ok(())
    })
    .await
}
