use anyhow::{Result, ensure};
use lazymesh_e2e::{
    lab::{self, Lab, reference},
    wait,
};
use serde_json::{Value, json};

use crate::process::Collector;

async fn service(lab: &Lab, namespace: &str, name: &str) -> Result<()> {
    lab.service(namespace, name).await
}

/// Which of these services the collector knows, by what it would answer a filter: what it does not know is outside.
async fn until_known(
    collector: &Collector,
    lab: &Lab,
    namespace: &str,
    expect: &[(&str, bool)],
) -> Result<()> {
    wait::until("the inventory", async || {
        for (name, known) in expect {
            let path = format!("/v1/services/{namespace}/{name}/dependents");
            let answer = collector.get(&path).await?;
            let found = answer.get("items").is_some();
            ensure!(
                found == *known,
                "{name}: {answer}, {}",
                lab.folder().display()
            );
        }
        Ok(())
    })
    .await
}

#[test]
fn the_inventory_is_what_was_applied() -> Result<()> {
    lab::disturbance("k8s-inventory", async |lab, namespace| {
        service(lab, namespace, "before").await?;
        let collector = Collector::start(lab, &[]).await?;
        until_known(
            &collector,
            lab,
            namespace,
            &[("before", true), ("after", false)],
        )
        .await?;
        service(lab, namespace, "after").await?;
        lab.cluster()
            .delete_object(&reference("v1", "Service", namespace, "before"))
            .await?;
        until_known(
            &collector,
            lab,
            namespace,
            &[("before", false), ("after", true)],
        )
        .await
    })
}

#[test]
fn a_restart_of_kube_apiserver_is_outlived() -> Result<()> {
    lab::disturbance("k8s-restart", async |lab, namespace| {
        service(lab, namespace, "stays").await?;
        service(lab, namespace, "goes").await?;
        let collector = Collector::start(lab, &[]).await?;
        until_known(
            &collector,
            lab,
            namespace,
            &[("stays", true), ("goes", true)],
        )
        .await?;
        lab.apiserver().kill().await?;
        let ready: Value = collector.get("/readyz").await?;
        ensure!(ready["ready"] == json!(true), "{ready}");
        lab.apiserver().start_again()?;
        let goes = reference("v1", "Service", namespace, "goes");
        wait::until("kube-apiserver to answer", async || {
            lab.cluster().delete_object(&goes).await
        })
        .await?;
        // It answers before it can give addresses.
        wait::until("a Service to be taken", async || {
            service(lab, namespace, "comes").await
        })
        .await?;
        until_known(
            &collector,
            lab,
            namespace,
            &[("stays", true), ("goes", false), ("comes", true)],
        )
        .await
    })
}
