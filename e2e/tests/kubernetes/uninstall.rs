use std::process::Command;

use anyhow::{Context, Result, ensure};
use lazymesh_e2e::{
    lab::{self, Lab, reference},
    parts, wait,
};
use serde_json::Value;

use crate::process::{ATTACH, Collector, set_mode, sidecar, until_sidecar};
use crate::rights;

fn attachment() -> [Value; 3] {
    [
        reference(
            "extensions.istio.io/v1alpha1",
            "WasmPlugin",
            "istio-system",
            "lazymesh",
        ),
        reference(
            "networking.istio.io/v1alpha3",
            "EnvoyFilter",
            "istio-system",
            "lazymesh",
        ),
        reference("v1", "Service", lab::LAZYMESH_NAMESPACE, "lazymesh-ports"),
    ]
}

async fn until_attached(lab: &Lab) -> Result<()> {
    for object in attachment() {
        let there = async || {
            lab.cluster()
                .find(&object)
                .await?
                .with_context(|| format!("no {}", object["kind"]))
        };
        wait::until("the attachment", there).await?;
    }
    Ok(())
}

#[test]
fn uninstall_leaves_nothing_though_the_collector_still_runs() -> Result<()> {
    lab::disturbance("k8s-uninstall", async |lab, namespace| {
        lab.namespace(lab::LAZYMESH_NAMESPACE, &[]).await?;
        lab.service(namespace, "web").await?;
        set_mode(lab, namespace, Some("enforce")).await?;
        let collector = Collector::start(lab, &ATTACH).await?;
        until_attached(lab).await.with_context(|| collector.log())?;
        until_sidecar(lab, namespace, "lazymesh-default").await?;

        let uninstall = Command::new(parts::lazymesh()?)
            .args(["uninstall", "--settle", "0s", "--kubeconfig"])
            .arg(rights::become_account(lab, "lazymesh-uninstall").await?)
            .output()?;
        ensure!(uninstall.status.success(), "{uninstall:?}");
        let said = String::from_utf8(uninstall.stdout)?;
        let order = ["Sidecars: all ", "WasmPlugin ", "EnvoyFilter ", "Service "]
            .map(|kind| said.find(kind));
        ensure!(
            order.iter().all(Option::is_some) && order.is_sorted(),
            "{said}"
        );
        drop(collector);
        ensure!(
            sidecar(lab, namespace, "lazymesh-default").await?.is_none(),
            "{said}"
        );
        for object in attachment() {
            ensure!(
                lab.cluster().find(&object).await?.is_none(),
                "{}",
                object["kind"]
            );
        }
        Ok(())
    })
}
