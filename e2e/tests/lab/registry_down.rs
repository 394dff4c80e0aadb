//! A sidecar that cannot fetch the module: what it has learned works, and what it has not goes as Istio sends it. Where no
//! sidecar has fetched it yet, all goes as without lazymesh.

use anyhow::{Result, ensure};
use lazymesh_e2e::{
    lab::{self, Lab, PodSpec},
    wait,
};
use serde_json::json;

use crate::lazy::{
    cluster, cluster_of, enforce, has_filter, host, until_known, until_lazy, until_learned,
};

#[test]
fn a_pod_starts_and_calls_while_the_registry_is_down() -> Result<()> {
    lab::disturbance("registry-down", async |lab, namespace| {
        enforce(lab, namespace).await?;
        for service in ["learned", "unlearned", "later"] {
            lab.service(namespace, service).await?;
        }
        let client =
            |name| PodSpec::new(namespace, name).label("service.istio.io/canonical-name", "client");
        let (first, _learned, _unlearned, _later) = tokio::try_join!(
            lab.pod(client("client-1").service_account("client")),
            lab.pod(PodSpec::new(namespace, "learned")),
            lab.pod(PodSpec::new(namespace, "unlearned")),
            lab.pod(PodSpec::new(namespace, "later")),
        )?;
        for service in ["learned", "unlearned", "later"] {
            lab.until_reachable(namespace, service, 80).await?;
        }
        let known = cluster(namespace, "learned");
        until_lazy(&first, &known).await?;
        first.get("http://learned/").await?;
        until_learned(lab, namespace, "lazymesh-client", "learned").await?;

        let _outside = lab.external(&["down.example"]).await?;
        lab.registry().kill().await?;
        let second = lab
            .pod(client("client-2").service_account("client"))
            .await?;
        ensure!(!has_filter(&second).await?, "it has fetched the module");
        for (service, expect) in [("learned", &*known), ("unlearned", "PassthroughCluster")] {
            let path = format!("/without-{service}");
            let reply = second.get(&format!("http://{service}{path}")).await?;
            ensure!(reply.status == 200, "{reply:?}");
            assert_eq!(cluster_of(&second, &path).await?, expect);
        }

        let reply = second
            .send(&["https://down.example/", "--insecure"])
            .await?;
        ensure!(reply.status == 200, "{reply:?}");
        starts_with_its_full_scope(lab, &format!("{namespace}-new")).await?;

        lab.registry().start_again()?;
        lab.until_registry_listens().await?;
        lab::lazymesh().await?.push_again(lab).await?;
        // pilot-agent tries again when istiod sends it the plugin again: whenever the plugin changes, and at the
        // latest when istiod ends the stream, which it does every half an hour.
        let mut plugin = lab::reference(
            "extensions.istio.io/v1alpha1",
            "WasmPlugin",
            lab::ISTIO_NAMESPACE,
            "lazymesh",
        );
        plugin["metadata"]["annotations"] = json!({ "example.com/fetch": "again" });
        lab.cluster().apply_object(&plugin).await?;
        wait::until("the second pod to have the filter", async || {
            ensure!(has_filter(&second).await?, "it has none");
            Ok(())
        })
        .await?;
        let reply = second.get("http://later/with").await?;
        ensure!(reply.status == 200, "{reply:?}");
        assert_eq!(cluster_of(&second, "/with").await?, "lazymesh-direct");
        until_learned(lab, namespace, "lazymesh-client", "later").await?;
        let later = format!("outbound|80||{}", host(namespace, "later"));
        until_known(&second, &later).await
    })
}

/// Where no filter has called yet, a sidecar without one knows all services, STRICT ones too.
async fn starts_with_its_full_scope(lab: &Lab, namespace: &str) -> Result<()> {
    enforce(lab, namespace).await?;
    lab.strict_mtls(namespace).await?;
    lab.service(namespace, "server").await?;
    let (client, _server) = tokio::try_join!(
        lab.pod(PodSpec::new(namespace, "client")),
        lab.pod(PodSpec::new(namespace, "server")),
    )?;
    lab.until_reachable(namespace, "server", 80).await?;
    let reply = client.get("http://server/strict").await?;
    ensure!(reply.status == 200, "{reply:?}");
    let took = cluster_of(&client, "/strict").await?;
    ensure!(took == cluster(namespace, "server"), "it took {took}");
    ensure!(!has_filter(&client).await?, "it has fetched the module");
    drop(client);
    lab.delete_namespace(namespace).await
}
