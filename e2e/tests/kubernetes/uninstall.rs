use std::process::Command;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use lazymesh_e2e::{
    lab::{self, Lab, reference},
    parts, wait,
};
use serde_json::{Value, json};

use crate::chart;
use crate::process::{ATTACH, Collector, set_mode, sidecar, until_sidecar};
use crate::rights;

const MODE: &str = "lazymesh.io/mode";

/// What the collector attaches.
pub(crate) fn attachment() -> [Value; 4] {
    [
        reference(
            "extensions.istio.io/v1alpha1",
            "WasmPlugin",
            "istio-system",
            "lazymesh",
        ),
        reference(
            "extensions.istio.io/v1alpha1",
            "WasmPlugin",
            "istio-system",
            "lazymesh-tcp",
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

pub(crate) async fn until_attached(lab: &Lab) -> Result<()> {
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

        let said = uninstall(lab).await?;
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
        // Nothing stopped this collector before us, so uninstall has left it switched off.
        let namespaces: Api<Namespace> = Api::all(lab.cluster().client());
        let off = namespaces.get(lab::LAZYMESH_NAMESPACE).await?;
        ensure!(
            off.labels().get(MODE).is_some_and(|mode| mode == "off"),
            "{said}"
        );
        let on = json!({ "metadata": { "labels": { MODE: null } } });
        let params = PatchParams::default();
        namespaces
            .patch(lab::LAZYMESH_NAMESPACE, &params, &Patch::Merge(&on))
            .await?;

        // A collector that has died leaves its Sidecars and its Deployment.
        let collector = Collector::start(lab, &ATTACH).await?;
        until_sidecar(lab, namespace, "lazymesh-default").await?;
        drop(collector);
        let objects = chart::render(&[])?;
        let deployment = objects.iter().find(|it| it["kind"] == "Deployment");
        let deployment = deployment.context("no Deployment")?;
        lab.cluster().apply_object(deployment).await?;
        let said = uninstall(lab).await?;
        ensure!(
            sidecar(lab, namespace, "lazymesh-default").await?.is_none()
                && said.contains("stopped"),
            "{said}"
        );
        lab.cluster().delete_object(deployment).await?;
        rights::are_exact(&lab.audit_log()?, "lazymesh-uninstall")
    })
}

/// Runs `lazymesh uninstall` with the chart's rights for it; gives what it said.
async fn uninstall(lab: &Lab) -> Result<String> {
    let uninstall = Command::new(parts::lazymesh()?)
        .args(["uninstall", "--settle", "0s", "--kubeconfig"])
        .arg(rights::become_account(lab, "lazymesh-uninstall").await?)
        .output()?;
    ensure!(uninstall.status.success(), "{uninstall:?}");
    Ok(String::from_utf8(uninstall.stdout)?)
}
