use anyhow::{Result, ensure};
use lazymesh_e2e::lab::{self, Lab, reference};
use serde_json::json;

use crate::process::{Collector, set_mode, until_gone, until_sidecar};

const DEFAULT: &str = "lazymesh-default";

/// What stands in the Sidecar of an enforced namespace.
async fn hosts(lab: &Lab, namespace: &str, flags: &[&str]) -> Result<String> {
    let collector = Collector::start(lab, flags).await?;
    set_mode(lab, namespace, Some("enforce")).await?;
    let sidecar = until_sidecar(lab, namespace, DEFAULT).await?;
    set_mode(lab, namespace, Some("off")).await?;
    until_gone(lab, namespace, DEFAULT).await?;
    drop(collector);
    Ok(sidecar["spec"]["egress"][0]["hosts"].to_string())
}

#[test]
fn the_cluster_s_domain_is_the_injector_s_unless_a_flag_says_another() -> Result<()> {
    lab::disturbance("k8s-domain", async |lab, namespace| {
        let own = |domain: &str| format!("/lazymesh-collector.lazymesh-system.svc.{domain}\"");
        let mut injector = reference(
            "v1",
            "ConfigMap",
            lab::ISTIO_NAMESPACE,
            "istio-sidecar-injector",
        );
        let values = json!({ "global": { "proxy": { "clusterDomain": "k8s.example" } } });
        injector["data"] = json!({ "values": values.to_string() });
        let flag = ["--cluster-domain", "other.example"];
        let none = hosts(lab, namespace, &[]).await?;
        lab.cluster().apply_object(&injector).await?;
        let said = hosts(lab, namespace, &[]).await?;
        let given = hosts(lab, namespace, &flag).await?;
        lab.cluster().delete_object(&injector).await?;
        ensure!(none.contains(&own("cluster.local")), "{none}");
        ensure!(said.contains(&own("k8s.example")), "{said}");
        ensure!(given.contains(&own("other.example")), "{given}");
        Ok(())
    })
}
