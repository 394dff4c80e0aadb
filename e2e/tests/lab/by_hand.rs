//! The filter attached by hand: the chart without its attachment, and what `lazymesh manifests` prints.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use kube::ResourceExt as _;
use lazymesh_e2e::{
    lab::{self, Lab, Lazymesh, LazymeshOptions},
    parts,
};

use crate::{
    lazy::{Lazy, until_known, until_learned},
    leftovers::leftovers,
};

#[test]
fn what_lazymesh_manifests_prints_attaches_the_filter() -> Result<()> {
    lab::disturbance("by-hand", async |lab, namespace| {
        lab::own_lazymesh().await?.uninstall(lab).await?;
        let options = LazymeshOptions {
            values: vec!["attachment.enabled=false".to_owned()],
            ..LazymeshOptions::default()
        };
        let lazymesh = Lazymesh::install(lab, &options).await?;
        let manifests = Command::new(parts::lazymesh()?)
            .args([
                "manifests",
                "--istio",
                &istio_version(lab).await?,
                "--image",
            ])
            .arg(lazymesh.image())
            .output()?;
        ensure!(manifests.status.success(), "{manifests:?}");
        let manifests = String::from_utf8(manifests.stdout)?;
        lab.cluster().apply(&manifests).await?;
        lab::share_lazymesh(lazymesh).await;

        let lazy = Lazy::start(lab, namespace).await?;
        assert_eq!(lazy.ask("/first").await?, "lazymesh-direct");
        until_learned(lab, namespace, "lazymesh-client", "server").await?;
        until_known(&lazy.client, &lazy.cluster()).await?;
        lab::own_lazymesh().await?.uninstall(lab).await?;
        let left = leftovers(lab).await?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
}

async fn istio_version(lab: &Lab) -> Result<String> {
    let pods = lab
        .cluster()
        .list("v1", "Pod", lab::ISTIO_NAMESPACE)
        .await?;
    let mut versions = pods
        .iter()
        .filter_map(|pod| pod.labels().get("app.kubernetes.io/version"));
    Ok(versions.next().context("istiod has no version")?.clone())
}
