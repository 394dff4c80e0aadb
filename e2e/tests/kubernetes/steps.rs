//! Scopes change in steps where that costs no request, and at once where a step would.

use anyhow::{Context, Result, ensure};
use lazymesh_e2e::{
    lab::{self, Lab, reference},
    wait,
};
use serde_json::{Value, json};

use crate::process::{Collector, pod, set_mode, sidecar, until_gone, until_sidecar};

const DEFAULT: &str = "lazymesh-default";
/// Longer than any scenario, so that no step is over before it ends.
const NEVER: [&str; 2] = ["--settle", "600s"];

#[test]
fn what_cannot_wait_has_its_routes_soon() -> Result<()> {
    lab::disturbance("k8s-soon", async |lab, namespace| {
        let collector = Collector::start(lab, &NEVER).await?;
        set_mode(lab, namespace, Some("enforce")).await?;
        until_sidecar(lab, namespace, DEFAULT).await?;
        // Nobody runs yet, so what new pods are to have they have at once.
        pod(lab, namespace, "off", json!({ "lazymesh.io/mode": "off" })).await?;
        pod(lab, namespace, "web", json!({})).await?;
        until_scope(lab, namespace, "lazymesh-off", (&["*/*"], &[])).await?;
        until_sidecar(lab, namespace, "lazymesh-web").await?;

        for name in ["plain", "routed"] {
            lab.service(namespace, name).await?;
        }
        let [plain, routed, stream] = ["plain", "routed", "stream"]
            .map(|name| format!("{namespace}/{name}.{namespace}.svc.cluster.local"));
        for name in ["plain", "routed"] {
            wait::until(&format!("{name} to be held or direct"), async || {
                let decision = collector.resolve(namespace, "web", name).await?;
                ensure!(decision["decision"] != "passthrough", "{decision}");
                Ok(())
            })
            .await?;
        }
        until_scope(lab, namespace, "lazymesh-web", (&[], &[&plain, &routed]))
            .await
            .with_context(|| collector.log())?;
        let mut route = reference(
            "networking.istio.io/v1",
            "VirtualService",
            namespace,
            "routed",
        );
        route["spec"] = json!({
            "hosts": ["routed"],
            "http": [{ "timeout": "1s", "route": [{ "destination": { "host": "routed" } }] }],
        });
        lab.cluster().apply_object(&route).await?;
        let mut tcp = reference("v1", "Service", namespace, "stream");
        tcp["spec"] = json!({ "ports": [{ "name": "tcp", "port": 80 }] });
        lab.cluster().apply_object(&tcp).await?;
        let scope: (&[&str], &[&str]) = (&[&routed, &stream], &[&plain]);
        until_scope(lab, namespace, "lazymesh-web", scope)
            .await
            .with_context(|| collector.log())
    })
}

#[test]
fn a_job_that_comes_back_finds_its_sidecar() -> Result<()> {
    lab::disturbance("k8s-linger", async |lab, namespace| {
        let _collector = Collector::start(lab, &[]).await?;
        set_mode(lab, namespace, Some("enforce")).await?;
        until_sidecar(lab, namespace, DEFAULT).await?;
        let job = pod(lab, namespace, "job", json!({})).await?;
        let before = until_sidecar(lab, namespace, "lazymesh-job").await?;
        lab.cluster().delete_object(&job).await?;
        // One Sidecar is published after the other: with this one the job's turn is over.
        pod(lab, namespace, "next", json!({})).await?;
        until_sidecar(lab, namespace, "lazymesh-next").await?;
        let after = sidecar(lab, namespace, "lazymesh-job").await?;
        let version = |sidecar: &Value| sidecar["metadata"]["resourceVersion"].clone();
        ensure!(
            after.as_ref().map(version) == Some(version(&before)),
            "{after:?}"
        );
        set_mode(lab, namespace, Some("off")).await?;
        until_gone(lab, namespace, "lazymesh-job").await
    })
}

#[test]
fn what_a_user_s_sidecar_leaves_behind_has_everything_before_ours_goes() -> Result<()> {
    lab::disturbance("k8s-left-behind", async |lab, namespace| {
        let collector = Collector::start(lab, &["--settle", "2s"]).await?;
        for version in ["v1", "v2"] {
            let labels = json!({ "service.istio.io/canonical-name": "web", "version": version });
            pod(lab, namespace, version, labels).await?;
        }
        set_mode(lab, namespace, Some("enforce")).await?;
        until_sidecar(lab, namespace, "lazymesh-web").await?;
        until_scope(lab, namespace, DEFAULT, (&[], &[])).await?;
        let mut theirs = reference("networking.istio.io/v1", "Sidecar", namespace, "theirs");
        theirs["spec"] = json!({
            "workloadSelector": { "labels": { "version": "v2" } },
            "egress": [{ "hosts": ["./*"] }],
        });
        lab.cluster().apply_object(&theirs).await?;
        until_gone(lab, namespace, "lazymesh-web").await?;
        let default = sidecar(lab, namespace, DEFAULT).await?.context("none")?;
        ensure!(
            scope(&default).0 == ["*/*"],
            "{default}\n{}",
            collector.log()
        );
        Ok(())
    })
}

/// What has routes, and what has clusters only, of what is the scenarios' own.
fn scope(sidecar: &Value) -> (Vec<&str>, Vec<&str>) {
    let egress = sidecar["spec"]["egress"].as_array();
    let hosts = |with_port: bool| {
        let listeners = egress.into_iter().flatten();
        let listeners = listeners.filter(move |it| it.get("port").is_some() == with_port);
        let hosts = listeners.flat_map(|it| it["hosts"].as_array()).flatten();
        let hosts = hosts.filter_map(Value::as_str);
        hosts
            .filter(|host| host.starts_with("k8s-") || *host == "*/*")
            .collect()
    };
    (hosts(false), hosts(true))
}

async fn until_scope(
    lab: &Lab,
    namespace: &str,
    name: &str,
    expect: (&[&str], &[&str]),
) -> Result<()> {
    wait::until(&format!("the scope of {name}"), async || {
        let sidecar = sidecar(lab, namespace, name).await?.context("none")?;
        let (routes, clusters) = scope(&sidecar);
        ensure!(
            routes == expect.0 && clusters == expect.1,
            "{routes:?}, {clusters:?}"
        );
        Ok(())
    })
    .await
}
