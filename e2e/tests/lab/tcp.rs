//! TCP: what a connection's address tells is learned by its first connection, the rest is always in scope.

use anyhow::{Context, Result, ensure};
use lazymesh_e2e::{
    lab::{self, Lab, PodSpec},
    wait,
};
use serde_json::json;

use crate::lazy::{Lazy, enforce, host, hosts, until_lazy, until_learned};

/// A port that nobody else of the lab has, for HTTP or other.
const PORT: u16 = 9_100;

#[test]
fn the_first_connection_to_a_server_that_speaks_first_is_greeted() -> Result<()> {
    lab::scenario("tcp", async |lab, namespace| {
        service(lab, namespace, PORT).await?;
        let lazy = Lazy::start(lab, namespace).await?;
        lab.until_reachable(namespace, "greeter", PORT).await?;
        let cluster = format!("outbound|{PORT}||{}", host(namespace, "greeter"));
        ensure!(!lazy.client.has_cluster(&cluster).await?, "{cluster}");
        for _ in 0..10 {
            greet(&lazy, PORT).await?;
        }
        until_learned(lab, namespace, "lazymesh-client", "greeter").await?;
        wait::until("the cluster to come", async || {
            ensure!(lazy.client.has_cluster(&cluster).await?, "no {cluster}");
            Ok(())
        })
        .await?;
        greet(&lazy, PORT).await
    })
}

#[test]
fn on_a_port_of_http_such_a_server_is_in_every_scope() -> Result<()> {
    lab::scenario("tcp-anchored", async |lab, namespace| {
        let mut web = lab::reference("v1", "Service", namespace, "web");
        web["spec"] = json!({
            "selector": { "app": "server" },
            "ports": [{ "name": "http", "port": lab::GREETING, "targetPort": lab::HTTP }],
        });
        lab.cluster().apply_object(&web).await?;
        until_anchored(lab, lab::GREETING).await?;
        service(lab, namespace, lab::GREETING).await?;
        let lazy = Lazy::start(lab, namespace).await?;
        lab.until_reachable(namespace, "greeter", lab::GREETING)
            .await?;
        let host = format!("{namespace}/{}", host(namespace, "greeter"));
        wait::until("the host to be in scope", async || {
            let hosts = hosts(lab, namespace, "lazymesh-client").await?;
            ensure!(hosts.contains(&host), "{hosts:?}");
            Ok(())
        })
        .await?;
        let listed = lab::lazymesh().await?.admin("/v1/always-visible").await?;
        ensure!(listed.contains(&host), "{listed}");
        wait::until("the greeting", async || greet(&lazy, lab::GREETING).await).await
    })
}

#[test]
fn a_server_with_another_identity_than_its_own_is_refused() -> Result<()> {
    lab::scenario("tcp-impostor", async |lab, namespace| {
        enforce(lab, namespace).await?;
        lab.strict_mtls(namespace).await?;
        service(lab, namespace, PORT).await?;
        let impostor = PodSpec {
            identity: Some("somebody".to_owned()),
            ..PodSpec::new(namespace, "server")
        };
        let (client, _impostor) = tokio::try_join!(
            lab.pod(PodSpec::new(namespace, "client")),
            lab.pod(impostor)
        )?;
        lab.until_reachable(namespace, "greeter", PORT).await?;
        let cluster = format!("outbound|{PORT}||{}", host(namespace, "greeter"));
        until_lazy(&client, &cluster).await?;
        let greeting = client.greeting("greeter", PORT).await?;
        ensure!(greeting.is_empty(), "it was believed");
        let direct = client.filter_metric("lazymesh_decisions_direct").await?;
        ensure!(direct == 1, "{direct} direct connections");
        until_learned(lab, namespace, "lazymesh-client", "greeter").await?;
        wait::until("the cluster to come", async || {
            ensure!(client.has_cluster(&cluster).await?, "no {cluster}");
            Ok(())
        })
        .await?;
        let greeting = client.greeting("greeter", PORT).await?;
        ensure!(greeting.is_empty(), "it was believed");
        Ok(())
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

async fn service(lab: &Lab, namespace: &str, port: u16) -> Result<()> {
    let mut service = lab::reference("v1", "Service", namespace, "greeter");
    service["spec"] = json!({
        "selector": { "app": "server" },
        "ports": [{ "name": "tcp", "port": port, "targetPort": lab::GREETING }],
    });
    lab.cluster().apply_object(&service).await.map(drop)
}

/// The server is STRICT and speaks first: it greets nobody who dials in plain text.
async fn greet(lazy: &Lazy<'_>, port: u16) -> Result<()> {
    let greeting = lazy.client.greeting("greeter", port).await?;
    ensure!(greeting == "hello from server", "{greeting:?}");
    Ok(())
}
