//! Whose a scope is: a workload is known by its canonical name, not by its ServiceAccount.

use anyhow::{Result, ensure};
use lazymesh_e2e::lab::{self, PodSpec, reference};
use serde_json::{Value, json};

use crate::lazy::{
    cluster, cluster_of, enforce, host, hosts, until_known, until_lazy, until_learned,
};

#[test]
fn workloads_that_share_a_service_account_share_no_scope() -> Result<()> {
    lab::scenario("shared-account", async |lab, namespace| {
        enforce(lab, namespace).await?;
        lab.strict_mtls(namespace).await?;
        lab.service(namespace, "left").await?;
        let mut right = reference("v1", "Service", namespace, "right");
        right["spec"] = json!({
            "selector": { "app": "left" },
            "ports": [{ "name": "http", "port": 80, "targetPort": lab::HTTP }],
        });
        lab.cluster().apply_object(&right).await?;
        let shared = |name| PodSpec::new(namespace, name).service_account("shared");
        let (one, two, _server) = tokio::try_join!(
            lab.pod(shared("one")),
            lab.pod(shared("two")),
            lab.pod(PodSpec::new(namespace, "left")),
        )?;
        let both = [(&one, "one", "left"), (&two, "two", "right")];
        for (pod, _, service) in both {
            lab.until_reachable(namespace, service, 80).await?;
            until_lazy(pod, &cluster(namespace, service)).await?;
        }
        for (pod, workload, service) in both {
            let reply = pod
                .get(&format!("http://{service}/from-{workload}"))
                .await?;
            ensure!(reply.status == 200, "{reply:?}");
            let took = cluster_of(pod, &format!("/from-{workload}")).await?;
            assert_eq!(took, "lazymesh-direct");
            until_learned(lab, namespace, &format!("lazymesh-{workload}"), service).await?;
            until_known(pod, &cluster(namespace, service)).await?;
        }
        for ((pod, workload, _), (.., foreign)) in both.into_iter().zip(both.into_iter().rev()) {
            let hosts = hosts(lab, namespace, &format!("lazymesh-{workload}")).await?;
            let unknown = format!("{namespace}/{}", host(namespace, foreign));
            ensure!(!hosts.contains(&unknown), "{workload}: {hosts:?}");
            let unknown = cluster(namespace, foreign);
            ensure!(
                !pod.has_cluster(&unknown).await?,
                "{workload} has {unknown}"
            );
        }
        Ok(())
    })
}

#[test]
fn a_pod_without_a_canonical_name_is_lazy_by_its_namespace_s_sidecar() -> Result<()> {
    lab::scenario("unlabelled", async |lab, namespace| {
        enforce(lab, namespace).await?;
        lab.strict_mtls(namespace).await?;
        lab.service(namespace, "server").await?;
        let by_hand = PodSpec::new(namespace, "pod-1")
            .label("app", "by-hand")
            .label("service.istio.io/canonical-name", "");
        let (pod, _server) =
            tokio::try_join!(lab.pod(by_hand), lab.pod(PodSpec::new(namespace, "server")))?;
        lab.until_reachable(namespace, "server", 80).await?;
        let known = cluster(namespace, "server");
        until_lazy(&pod, &known).await?;
        for (path, cluster) in [("/first", "lazymesh-direct"), ("/second", &known)] {
            let reply = pod.get(&format!("http://server{path}")).await?;
            ensure!(reply.status == 200, "{reply:?}");
            assert_eq!(cluster_of(&pod, path).await?, cluster);
            until_learned(lab, namespace, "lazymesh-default", "server").await?;
            until_known(&pod, &known).await?;
        }
        let path = format!("/v1/workloads/{namespace}/by-hand");
        let workload: Value = lab::lazymesh().await?.json(&path).await?;
        ensure!(workload["dependencies"] == 1, "{workload}");
        Ok(())
    })
}
