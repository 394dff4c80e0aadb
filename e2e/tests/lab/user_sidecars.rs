//! Sidecars that people wrote: Envoy gets what they say, and nothing of ours, for as long as they are there.

use std::time::Duration;

use anyhow::{Result, ensure};
use lazymesh_e2e::{
    lab::{self, Lab, Pod, PodSpec, reference},
    wait,
};
use serde_json::{Value, json};

use crate::lazy::{
    Lazy, cluster, cluster_of, hosts, until_known, until_lazy, until_learned, until_withdrawn,
};

const THEIRS: &str = "theirs";

#[test]
fn a_user_s_later_selector_takes_a_workload_over_and_gives_it_back() -> Result<()> {
    lab::scenario("theirs-later", async |lab, namespace| {
        let lazy = Lazy::start(lab, namespace).await?;
        // Nobody calls it: whether Envoy has it tells whose Sidecar rules.
        lab.service(namespace, "other").await?;
        let other = cluster(namespace, "other");
        assert_eq!(lazy.ask("/first").await?, "lazymesh-direct");
        until_learned(lab, namespace, "lazymesh-client", "server").await?;
        until_known(&lazy.client, &lazy.cluster()).await?;
        until_lazy(&lazy.client, &other).await?;
        let traffic = (lazy.client).traffic(&["http://server/"], Duration::from_millis(10))?;

        let theirs = sidecar(
            namespace,
            json!({
                "workloadSelector": { "labels": { "app": "client" } },
                "egress": [{ "hosts": ["./*"] }],
            }),
        );
        lab.cluster().apply_object(&theirs).await?;
        until_withdrawn(lab, namespace, "lazymesh-client").await?;
        until_known(&lazy.client, &other).await?;
        until_ruled_by(namespace, "client", "user-managed", THEIRS).await?;
        until_ruled_by(namespace, "server", "managed", "lazymesh-server").await?;
        let tally = traffic.stop().await?;
        ensure!(tally.sent > 10 && tally.failed == 0, "{tally:?}");

        lab.cluster().delete_object(&theirs).await?;
        until_learned(lab, namespace, "lazymesh-client", "server").await?;
        until_ruled_by(namespace, "client", "managed", "lazymesh-client").await?;
        until_lazy(&lazy.client, &other).await?;
        // The namespace's default rules until ours is back, which istiod may or may not push.
        until_known(&lazy.client, &lazy.cluster()).await?;
        assert_eq!(lazy.ask("/last").await?, lazy.cluster());
        Ok(())
    })
}

#[test]
fn a_user_s_sidecar_of_the_namespace_is_every_workload_s() -> Result<()> {
    lab::scenario("theirs-first", async |lab, namespace| {
        for service in ["allowed", "closed"] {
            lab.service(namespace, service).await?;
        }
        let (allowed, closed) = (cluster(namespace, "allowed"), cluster(namespace, "closed"));
        let theirs = sidecar(
            namespace,
            json!({
                "egress": [{ "hosts": [format!("./allowed.{namespace}.svc.cluster.local")] }],
                "outboundTrafficPolicy": { "mode": "REGISTRY_ONLY" },
            }),
        );
        lab.cluster().apply_object(&theirs).await?;
        lab::lazymesh().await?;
        lab.namespace(namespace, &[("lazymesh.io/mode", "enforce")])
            .await?;
        let (client, _allowed, _closed) = tokio::try_join!(
            lab.pod(PodSpec::new(namespace, "client")),
            lab.pod(PodSpec::new(namespace, "allowed")),
            lab.pod(PodSpec::new(namespace, "closed")),
        )?;
        for service in ["allowed", "closed"] {
            lab.until_reachable(namespace, service, 80).await?;
        }
        until_ruled_by(namespace, "client", "user-managed", THEIRS).await?;
        assert_eq!(status(&client, "allowed", "/theirs").await?, 200);
        assert_eq!(cluster_of(&client, "/theirs").await?, allowed);
        // The user closed it, and lazymesh leads nobody around that.
        assert_eq!(status(&client, "closed", "/theirs-too").await?, 502);
        ensure!(!client.has_cluster(&closed).await?, "it has {closed}");
        ensure!(
            ours(lab, namespace).await?.is_empty(),
            "there are Sidecars of ours"
        );

        lab.cluster().delete_object(&theirs).await?;
        hosts(lab, namespace, "lazymesh-default").await?;
        hosts(lab, namespace, "lazymesh-client").await?;
        until_lazy(&client, &allowed).await?;
        assert_eq!(status(&client, "closed", "/ours").await?, 200);
        until_learned(lab, namespace, "lazymesh-client", "closed").await?;
        until_known(&client, &closed).await
    })
}

async fn status(client: &Pod, service: &str, path: &str) -> Result<u16> {
    Ok(client.get(&format!("http://{service}{path}")).await?.status)
}

fn sidecar(namespace: &str, spec: Value) -> Value {
    let mut sidecar = reference("networking.istio.io/v1", "Sidecar", namespace, THEIRS);
    sidecar["spec"] = spec;
    sidecar
}

/// Waits until the collector says whose Sidecar a workload has.
async fn until_ruled_by(namespace: &str, workload: &str, state: &str, name: &str) -> Result<()> {
    let lazymesh = lab::lazymesh().await?;
    wait::until(&format!("{workload} to be {state}"), async || {
        let path = format!("/v1/workloads/{namespace}/{workload}");
        let said: Value = lazymesh.json(&path).await?;
        let sidecar = &said["sidecar"];
        ensure!(
            sidecar["state"] == state && sidecar["name"] == name,
            "{said}"
        );
        Ok(())
    })
    .await
}

/// Names of the Sidecars of a namespace that are not the user's.
async fn ours(lab: &Lab, namespace: &str) -> Result<Vec<String>> {
    let sidecars = lab
        .cluster()
        .list("networking.istio.io/v1", "Sidecar", namespace)
        .await?;
    let names = sidecars
        .into_iter()
        .filter_map(|sidecar| sidecar.metadata.name);
    Ok(names.filter(|name| name != THEIRS).collect())
}
