use std::process::Command;

use anyhow::{Context, Result, ensure};
use lazymesh_e2e::{
    lab::{self, Lab, reference},
    parts,
};
use serde_json::{Value, json};

use crate::process::{ATTACH, Collector, set_mode, until_gone, until_sidecar};
use crate::rights;
use crate::uninstall::until_attached;

/// What `lazymesh check` finds, as somebody with every right.
fn check(lab: &Lab, flags: &[&str]) -> Result<Value> {
    let output = Command::new(parts::lazymesh()?)
        .args(["check", "--istio", "1.31", "-o", "json", "--kubeconfig"])
        .arg(lab.kubeconfig())
        .args(flags)
        .output()?;
    serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))
}

#[track_caller]
fn is(findings: &Value, check: &str, state: &str) -> Result<()> {
    let findings = findings.as_array().context("no list")?;
    let found = findings.iter().find(|it| it["check"] == check);
    let found = found.with_context(|| format!("no {check} in {findings:?}"))?;
    ensure!(
        found["state"] == state,
        "{check}: expected {state}, got {found}"
    );
    Ok(())
}

#[test]
fn a_cluster_and_what_is_in_it_are_checked() -> Result<()> {
    lab::disturbance("k8s-check", async |lab, namespace| {
        lab.namespace(lab::LAZYMESH_NAMESPACE, &[]).await?;
        let plugin = "extensions.istio.io/v1alpha1";
        let mut theirs = reference(plugin, "WasmPlugin", lab::ISTIO_NAMESPACE, "lazymesh");
        if lab.cluster().find(&theirs).await?.is_some() {
            lab.cluster().delete_object(&theirs).await?;
        }
        let before = check(lab, &["--pre"])?;
        for name in ["kubernetes", "istio", "kinds", "rights", "clashes"] {
            is(&before, name, "ok")?;
        }
        let sidecar = reference("networking.istio.io/v1", "Sidecar", namespace, "by-hand");
        lab.cluster().apply_object(&sidecar).await?;
        theirs["spec"] = json!({ "url": "oci://registry.example/theirs:1" });
        lab.cluster().apply_object(&theirs).await?;
        let clash = check(lab, &["--pre"])?;
        is(&clash, "clashes", "fail")?;
        is(&clash, "user Sidecars", "warn")?;
        lab.cluster().delete_object(&theirs).await?;
        lab.cluster().delete_object(&sidecar).await?;

        let empty = check(lab, &["--url", "http://127.0.0.1:1"])?;
        is(&empty, "attachment", "fail")?;
        is(&empty, "collector's own checks", "warn")?;

        rights::become_account(lab, "lazymesh-collector").await?;
        let collector = Collector::start(lab, &ATTACH).await?;
        until_attached(lab).await.with_context(|| collector.log())?;
        let after = check(lab, &["--url", &collector.url("")])?;
        for name in [
            "rights",
            "clashes",
            "attachment",
            "port anchor",
            "versions",
            "filters",
        ] {
            is(&after, name, "ok")?;
        }
        // It runs beside the cluster, and nobody serves the filter.
        is(&after, "collector", "fail")?;
        is(&after, "registry", "warn")
    })
}

#[test]
fn a_plan_that_was_reviewed_is_applied() -> Result<()> {
    lab::disturbance("k8s-plan", async |lab, namespace| {
        lab.namespace(lab::LAZYMESH_NAMESPACE, &[]).await?;
        lab.service(namespace, "web").await?;
        let collector = Collector::start(lab, &[]).await?;
        collector.resolve(namespace, "caller", "web").await?;
        let output = Command::new(parts::lazymesh()?)
            .args(["plan", namespace, "--apply", "--url", &collector.url("")])
            .arg("--kubeconfig")
            .arg(lab.kubeconfig())
            .output()?;
        let said = String::from_utf8(output.stdout)?;
        ensure!(said.ends_with(": lazymesh.io/mode: enforce\n"), "{said}");
        until_sidecar(lab, namespace, "lazymesh-default").await?;
        set_mode(lab, namespace, Some("off")).await?;
        until_gone(lab, namespace, "lazymesh-default").await
    })
}
