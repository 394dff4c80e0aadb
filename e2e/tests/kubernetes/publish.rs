use anyhow::{Context, Result, ensure};
use lazymesh_e2e::{
    lab::{self, reference},
    wait,
};
use serde_json::{Value, json};

use crate::process::{Collector, set_mode, sidecar, until_gone, until_sidecar};

const DEFAULT: &str = "lazymesh-default";

fn hosts(sidecar: &Value) -> &Value {
    &sidecar["spec"]["egress"][0]["hosts"]
}

#[test]
fn a_namespace_s_label_makes_and_unmakes_its_sidecar() -> Result<()> {
    lab::disturbance("k8s-label", async |lab, namespace| {
        let _collector = Collector::start(lab, &[]).await?;
        ensure!(sidecar(lab, namespace, DEFAULT).await?.is_none());
        set_mode(lab, namespace, Some("enforce")).await?;
        let made = until_sidecar(lab, namespace, DEFAULT).await?;
        let managers = &made["metadata"]["managedFields"];
        ensure!(
            managers[0]["manager"] == "lazymesh" && managers[0]["operation"] == "Apply",
            "{managers}"
        );
        set_mode(lab, namespace, Some("off")).await?;
        until_gone(lab, namespace, DEFAULT).await
    })
}

#[test]
fn a_namespace_waits_for_its_first_filter_once() -> Result<()> {
    lab::disturbance("k8s-unheard", async |lab, namespace| {
        set_mode(lab, namespace, Some("enforce")).await?;
        // What one that waits for nothing publishes shows that the other has had its chance.
        let other = format!("{namespace}-other");
        lab.namespace(&other, &[]).await?;
        lab.namespace(lab::LAZYMESH_NAMESPACE, &[]).await?;
        let collector = Collector::start_as(&lab.kubeconfig(), &[]).await?;
        set_mode(lab, &other, Some("enforce")).await?;
        // Nor does it have a filter for requests where only connections were counted.
        let tcp = json!([{ "destination": "203.0.113.1:5432", "protocol": "tcp", "count": 1 }]);
        collector.report(namespace, "any", tcp).await?;
        collector.greet(&other, "any").await?;
        until_sidecar(lab, &other, DEFAULT).await?;
        ensure!(sidecar(lab, namespace, DEFAULT).await?.is_none());
        collector.greet(namespace, "any").await?;
        until_sidecar(lab, namespace, DEFAULT).await?;

        // The next collector finds the Sidecars, and leaves them.
        drop(collector);
        let collector = Collector::start_as(&lab.kubeconfig(), &[]).await?;
        set_mode(lab, &other, Some("off")).await?;
        until_gone(lab, &other, DEFAULT).await?;
        ensure!(sidecar(lab, namespace, DEFAULT).await?.is_some());
        drop(collector);
        lab.delete_namespace(&other).await
    })
}

#[test]
fn what_sidecars_need_and_users_list_is_in_every_scope() -> Result<()> {
    lab::disturbance("k8s-visible", async |lab, namespace| {
        let entry = |name: &str| format!("{namespace}/{name}.{namespace}.svc.cluster.local");
        for name in ["provider", "listed", "other"] {
            lab.service(namespace, name).await?;
        }
        let istio = format!("{namespace}-istio");
        lab.namespace(&istio, &[]).await?;
        let mut mesh = reference("v1", "ConfigMap", &istio, "istio");
        let service = entry("provider");
        let provider = json!({ "name": "a", "zipkin": { "service": service, "port": 80 } });
        let config = json!({ "extensionProviders": [provider] });
        mesh["data"] = json!({ "mesh": config.to_string() });
        lab.cluster().apply_object(&mesh).await?;
        set_mode(lab, namespace, Some("enforce")).await?;
        let flags = [
            "--istio-namespace",
            &istio,
            "--always-visible",
            &entry("listed"),
        ];
        let _collector = Collector::start(lab, &flags).await?;
        let has = async |expect: [(&str, bool); 3]| {
            wait::until("the scope", async || {
                let now = sidecar(lab, namespace, DEFAULT).await?.context("none")?;
                let now = hosts(&now).as_array().context("no hosts")?;
                for (name, is_there) in expect {
                    let found = now.contains(&json!(entry(name)));
                    ensure!(found == is_there, "{name}: {now:?}");
                }
                Ok(())
            })
            .await
        };
        has([("provider", true), ("listed", true), ("other", false)]).await?;
        mesh["data"] = json!({ "mesh": "{}" });
        lab.cluster().apply_object(&mesh).await?;
        has([("provider", false), ("listed", true), ("other", false)]).await?;
        lab.delete_namespace(&istio).await
    })
}

#[test]
fn what_somebody_does_to_a_sidecar_is_put_right() -> Result<()> {
    lab::disturbance("k8s-drift", async |lab, namespace| {
        set_mode(lab, namespace, Some("enforce")).await?;
        let _collector = Collector::start(lab, &[]).await?;
        let ours = until_sidecar(lab, namespace, DEFAULT).await?;
        let mut edited = reference("networking.istio.io/v1", "Sidecar", namespace, DEFAULT);
        edited["metadata"]["annotations"] = json!({ "example.com/theirs": "kept" });
        edited["spec"] = json!({
            "egress": [{ "hosts": ["*/*"] }],
            "outboundTrafficPolicy": { "mode": "ALLOW_ANY" },
        });
        lab.cluster().apply_object(&edited).await?;
        let right = wait::until("the Sidecar to be put right", async || {
            let now = sidecar(lab, namespace, DEFAULT).await?.context("none")?;
            ensure!(hosts(&now) == hosts(&ours), "{now}");
            Ok(now)
        });
        let right = right.await?;
        // What others added is theirs.
        ensure!(
            right["metadata"]["annotations"]["example.com/theirs"] == "kept",
            "{right}"
        );
        ensure!(
            right["spec"]["outboundTrafficPolicy"]["mode"] == "ALLOW_ANY",
            "{right}"
        );

        lab.cluster().delete_object(&edited).await?;
        let again = until_sidecar(lab, namespace, DEFAULT).await?;
        ensure!(hosts(&again) == hosts(&ours), "{again}");
        Ok(())
    })
}

#[test]
fn what_users_own_is_never_touched() -> Result<()> {
    lab::disturbance("k8s-theirs", async |lab, namespace| {
        let mut theirs = reference("networking.istio.io/v1", "Sidecar", namespace, DEFAULT);
        theirs["spec"] = json!({ "egress": [{ "hosts": ["./*"] }] });
        let before = json!(lab.cluster().apply_object(&theirs).await?);
        set_mode(lab, namespace, Some("enforce")).await?;
        let other = format!("{namespace}-other");
        lab.namespace(&other, &[("lazymesh.io/mode", "enforce")])
            .await?;
        let _collector = Collector::start(lab, &[]).await?;
        until_sidecar(lab, &other, DEFAULT).await?;
        lab.delete_namespace(&other).await?;
        let after = sidecar(lab, namespace, DEFAULT).await?.context("gone")?;
        ensure!(
            after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"],
            "{after}"
        );
        Ok(())
    })
}
