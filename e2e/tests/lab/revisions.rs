//! Two control planes in one mesh: a collector of one of them leaves what belongs to the other as it is.

use anyhow::{Result, ensure};
use lazymesh_e2e::lab::{self, Lab, Lazymesh, LazymeshOptions, PodSpec, reference};

use crate::lazy::{cluster, cluster_of, hosts, until_known, until_lazy, until_learned};

const CANARY: &str = "canary";

#[test]
fn a_collector_of_a_revision_serves_only_its_workloads() -> Result<()> {
    lab::disturbance("revisions", async |lab, namespace| {
        // Attachments have the same name whatever their revision.
        lab::own_lazymesh().await?.uninstall(lab).await?;
        let istiod = lab.start_revision(CANARY).await?;
        let options = LazymeshOptions {
            values: vec![format!("istio.revision={CANARY}")],
            ..LazymeshOptions::default()
        };
        let lazymesh = Lazymesh::install(lab, &options).await?;
        serve(lab, namespace, &lazymesh).await?;
        lazymesh.uninstall(lab).await?;
        istiod.stop().await?;
        for (kind, name) in [
            ("ConfigMap", "istio-canary"),
            ("Service", "istiod-canary"),
            ("Pod", "istiod-canary"),
        ] {
            let object = reference("v1", kind, lab::ISTIO_NAMESPACE, name);
            lab.cluster().delete_object(&object).await?;
        }
        Ok(())
    })
}

async fn serve(lab: &Lab, namespace: &str, lazymesh: &Lazymesh) -> Result<()> {
    lab.namespace(namespace, &[("lazymesh.io/mode", "enforce")])
        .await?;
    lab.strict_mtls(namespace).await?;
    lab.service(namespace, "server").await?;
    let new = PodSpec {
        revision: Some(CANARY.to_owned()),
        ..PodSpec::new(namespace, "new")
    };
    let (new, old, _server) = tokio::try_join!(
        lab.pod(new),
        lab.pod(PodSpec::new(namespace, "old")),
        lab.pod(PodSpec::new(namespace, "server")),
    )?;
    lab.until_reachable(namespace, "server", 80).await?;
    hosts(lab, namespace, "lazymesh-new").await?;
    let known = cluster(namespace, "server");
    until_lazy(&new, &known).await?;
    let reply = new.get("http://server/first").await?;
    ensure!(reply.status == 200, "{reply:?}");
    assert_eq!(cluster_of(&new, "/first").await?, "lazymesh-direct");
    until_learned(lab, namespace, "lazymesh-new", "server").await?;
    until_known(&new, &known).await?;

    // The other control plane reads nothing of ours, so its workload has the whole mesh and no filter.
    until_known(&old, &known).await?;
    ensure!(
        !old.has_cluster("lazymesh-direct").await?,
        "the attachment reached it"
    );
    let reply = old.get("http://server/old").await?;
    ensure!(reply.status == 200, "{reply:?}");
    assert_eq!(cluster_of(&old, "/old").await?, known);
    let sidecars = lab
        .cluster()
        .list("networking.istio.io/v1", "Sidecar", namespace)
        .await?;
    let names: Vec<_> = sidecars
        .into_iter()
        .filter_map(|sidecar| sidecar.metadata.name)
        .collect();
    assert_eq!(names, ["lazymesh-default", "lazymesh-new"]);
    let path = format!("/v1/workloads/{namespace}/old");
    ensure!(
        lazymesh.admin(&path).await.is_err(),
        "it knows a workload of another revision"
    );
    Ok(())
}
