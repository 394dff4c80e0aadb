//! Every part of the control plane dies in turn, with five workloads at work.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::future::{try_join, try_join_all};
use lazymesh_e2e::{
    lab::{self, Lab, Lazymesh, Pod, PodSpec},
    wait,
};

use crate::lazy::{
    cluster, cluster_of, enforce, host, hosts, until_known, until_lazy, until_learned,
};

const CLIENTS: [&str; 5] = ["one", "two", "three", "four", "five"];

#[test]
fn nothing_that_was_learned_is_lost_whatever_dies() -> Result<()> {
    lab::disturbance("failures", async |lab, namespace| {
        enforce(lab, namespace).await?;
        for service in ["server", "later"] {
            lab.service(namespace, service).await?;
        }
        let servers = ["server", "later"].map(|name| lab.pod(PodSpec::new(namespace, name)));
        let clients = CLIENTS.map(|name| lab.pod(PodSpec::new(namespace, name)));
        let (_servers, clients) = try_join(try_join_all(servers), try_join_all(clients)).await?;
        for service in ["server", "later"] {
            lab.until_reachable(namespace, service, 80).await?;
        }
        learn(lab, namespace, &clients).await?;
        let before = sidecars(lab, namespace).await?;
        ensure!(before.len() > CLIENTS.len(), "{before:?}");

        let traffic = clients
            .iter()
            .map(|pod| pod.traffic(&["http://server/"], Duration::from_millis(25)))
            .collect::<Result<Vec<_>>>()?;
        let lazymesh = lab::lazymesh().await?;
        lazymesh.collector().app().kill().await?;
        lazymesh.collector().app().start_again()?;
        until_ready(&lazymesh).await?;
        lab.restart_apiserver().await?;
        lab.restart_istiod().await?;
        until_ready(&lazymesh).await?;
        for (traffic, client) in traffic.into_iter().zip(CLIENTS) {
            let tally = traffic.stop().await?;
            ensure!(tally.sent > 20 && tally.failed == 0, "{client}: {tally:?}");
        }
        // Nobody has written any of them, not even for a moment.
        assert_eq!(sidecars(lab, namespace).await?, before);

        lazymesh.collector().app().kill().await?;
        first_request_without_a_collector(&clients[0]).await?;
        lazymesh.collector().app().start_again()?;
        until_ready(&lazymesh).await?;
        until_asked_again(lab, namespace, &clients[0]).await
    })
}

/// What was met without a collector is learned when it is met again.
async fn until_asked_again(lab: &Lab, namespace: &str, client: &Pod) -> Result<()> {
    let later = format!("{namespace}/{}", host(namespace, "later"));
    wait::until("the filter to ask again", async || {
        let reply = client.get("http://later/again").await?;
        ensure!(reply.status == 200, "{reply:?}");
        let hosts = hosts(lab, namespace, "lazymesh-one").await?;
        ensure!(hosts.contains(&later), "{hosts:?} lack {later}");
        Ok(())
    })
    .await?;
    until_learned(lab, namespace, "lazymesh-one", "server").await?;
    until_known(client, &cluster(namespace, "later")).await
}

/// Has every client learn the server.
async fn learn(lab: &Lab, namespace: &str, clients: &[Pod]) -> Result<()> {
    let known = cluster(namespace, "server");
    for (client, name) in clients.iter().zip(CLIENTS) {
        until_lazy(client, &known).await?;
        let reply = client.get("http://server/first").await?;
        ensure!(reply.status == 200, "{reply:?}");
        until_learned(lab, namespace, &format!("lazymesh-{name}"), "server").await?;
        until_known(client, &known).await?;
    }
    Ok(())
}

/// A host that nobody knows yet is reached as Istio would reach it.
async fn first_request_without_a_collector(client: &Pod) -> Result<()> {
    let reply = client.get("http://later/meanwhile").await?;
    ensure!(reply.status == 200, "{reply:?}");
    assert_eq!(
        cluster_of(client, "/meanwhile").await?,
        "PassthroughCluster"
    );
    Ok(())
}

/// Waits until a collector that was started again answers.
pub(crate) async fn until_ready(lazymesh: &Lazymesh) -> Result<()> {
    let ready = async || lazymesh.admin("/readyz").await.map(drop);
    let collector = lazymesh.collector().app();
    collector
        .until("the collector to be ready", wait::PATIENCE, ready)
        .await
}

/// Identity and generation of every Sidecar: the generation grows with every change of what it says.
async fn sidecars(lab: &Lab, namespace: &str) -> Result<BTreeMap<String, (String, i64)>> {
    let sidecars = lab
        .cluster()
        .list("networking.istio.io/v1", "Sidecar", namespace)
        .await?;
    let versions = sidecars.into_iter().map(|sidecar| {
        let metadata = sidecar.metadata;
        let name = metadata.name.context("no name")?;
        let uid = metadata.uid.context("no uid")?;
        Ok((name, (uid, metadata.generation.context("no generation")?)))
    });
    versions.collect()
}
