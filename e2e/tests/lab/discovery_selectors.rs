//! Namespaces that MeshConfig's `discoverySelectors` hide are none of the mesh's, for istiod and for lazymesh alike.

use anyhow::{Result, ensure};
use lazymesh_e2e::{
    lab::{self, Lab, PodSpec},
    wait,
};
use serde_json::{Value, json};

use crate::lazy::{
    cluster, cluster_of, enforce, host, hosts, until_known, until_lazy, until_withdrawn,
};

#[test]
fn a_hidden_namespace_is_neither_published_nor_resolved() -> Result<()> {
    lab::disturbance("discovery", async |lab, namespace| {
        let hidden = format!("{namespace}-hidden");
        let outcome = hide(lab, namespace, &hidden).await;
        lab.configure_mesh(&json!({})).await?;
        outcome?;
        // Seen again, it is enforced again.
        hosts(lab, &hidden, "lazymesh-default").await?;
        lab.delete_namespace(&hidden).await
    })
}

async fn hide(lab: &Lab, namespace: &str, hidden: &str) -> Result<()> {
    let labels = [("lazymesh.io/mode", "enforce"), ("visible", "no")];
    lab.namespace(hidden, &labels).await?;
    enforce(lab, namespace).await?;
    lab.service(hidden, "server").await?;
    // Keeps port 80 one that the mesh speaks HTTP on.
    lab.service(namespace, "seen").await?;
    let full = PodSpec::new(namespace, "full").label("lazymesh.io/mode", "off");
    let (client, full, server) = tokio::try_join!(
        lab.pod(PodSpec::new(namespace, "client")),
        lab.pod(full),
        lab.pod(PodSpec::new(hidden, "server")),
    )?;
    lab.until_reachable(hidden, "server", 80).await?;
    let known = cluster(hidden, "server");
    hosts(lab, hidden, "lazymesh-default").await?;
    until_lazy(&client, &known).await?;
    until_known(&full, &known).await?;

    let selector = json!({ "matchExpressions": [
        { "key": "visible", "operator": "NotIn", "values": ["no"] },
    ] });
    lab.configure_mesh(&json!({ "discoverySelectors": [selector] }))
        .await?;
    until_withdrawn(lab, hidden, "lazymesh-default").await?;
    until_withdrawn(lab, hidden, "lazymesh-server").await?;
    wait::until("istiod to hide it, too", async || {
        ensure!(!full.has_cluster(&known).await?, "there still is {known}");
        Ok(())
    })
    .await?;

    let url = format!("http://{}/hidden", host(hidden, "server"));
    // istiod takes the server's own clusters a moment before the listeners that name them.
    wait::until("the server's sidecar to follow", async || {
        ensure!(!server.has_cluster("inbound|8080||").await?, "not yet");
        let reply = full.get(&url).await?;
        ensure!(reply.status == 200, "{reply:?}");
        Ok(())
    })
    .await?;
    let reply = client.get(&url).await?;
    ensure!(reply.status == 200, "{reply:?}");
    assert_eq!(cluster_of(&client, "/hidden").await?, "PassthroughCluster");
    let lazymesh = lab::lazymesh().await?;
    wait::until("the host to be recorded as external", async || {
        let externals: Value = lazymesh.json("/v1/external-hosts").await?;
        let name = host(hidden, "server");
        let items = externals["items"].as_array();
        let recorded = items.is_some_and(|items| items.iter().any(|item| item["host"] == name));
        ensure!(recorded, "{externals}");
        Ok(())
    })
    .await?;
    let path = format!("/v1/workloads/{namespace}/client");
    let workload: Value = lazymesh.json(&path).await?;
    ensure!(workload["dependencies"] == 0, "{workload}");
    Ok(())
}
