//! The Helm chart: linted, and taken by kube-apiserver.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use kube::{
    Api,
    api::{DynamicObject, GroupVersionKind, Patch, PatchParams, ValidationDirective},
    discovery::{self, Scope},
};
use lazymesh_e2e::lab::{self, Lab};
use serde_json::{Value, json};

use crate::process::repository;

/// The least that the chart must be told.
const URL: &str = "attachment.url=oci://registry.example/lazymesh/filter:test";

/// helm, which `cargo xtask` builds from its Go module.
fn helm() -> Result<PathBuf> {
    let tools = std::env::var_os("LAZYMESH_LAB_TOOLS")
        .context("LAZYMESH_LAB_TOOLS is not set: run `cargo xtask test`")?;
    Ok(PathBuf::from(tools).join("bin/helm"))
}

fn run(arguments: &[&str], values: &[&str]) -> Result<String> {
    let mut command = Command::new(helm()?);
    command.args(arguments).arg(repository("charts/lazymesh"));
    for value in [URL].iter().chain(values) {
        command.args(["--set", value]);
    }
    let output = command.output().context("cannot start helm")?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}

/// The chart's objects.
pub(crate) fn render(values: &[&str]) -> Result<Vec<Value>> {
    let text = run(
        &[
            "template",
            "lazymesh",
            "--namespace",
            lab::LAZYMESH_NAMESPACE,
        ],
        values,
    )?;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text)?;
    Ok(objects
        .into_iter()
        .filter(|object| !object.is_null())
        .collect())
}

async fn dry_run(lab: &Lab, object: &Value) -> Result<()> {
    let text = |pointer| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (version, kind, name) = (text("/apiVersion"), text("/kind"), text("/metadata/name"));
    let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
    let client = lab.cluster().client();
    let gvk = GroupVersionKind::gvk(group, version, kind);
    let (resource, capabilities) = discovery::pinned_kind(&client, &gvk).await?;
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client, &resource),
        Scope::Namespaced => Api::namespaced_with(client, text("/metadata/namespace"), &resource),
    };
    let mut params = PatchParams::apply("helm").dry_run();
    params.field_validation = Some(ValidationDirective::Strict);
    let applied = api.patch(name, &params, &Patch::Apply(object)).await;
    applied.map(drop).with_context(|| format!("{kind} {name}"))
}

const EVERYTHING: [&str; 5] = [
    "admin.tokenSecret=token",
    "istio.revision=blue",
    "store.storageClassName=fast",
    "networkPolicy.adminFrom[0].podSelector.matchLabels.app=prometheus",
    "alwaysVisible[0]=a/b.example",
];

#[test]
fn the_chart_is_sound() -> Result<()> {
    run(&["lint", "--strict"], &[])?;
    run(&["lint", "--strict"], &EVERYTHING)?;
    for (value, expect) in [
        ("attachment.url=", "attachment.url"),
        ("attachment.sha256=00", "sha256"),
        ("serviceMonitor.enabled=true", "admin.tokenSecret"),
        ("unknown=1", "unknown"),
    ] {
        let refused = render(&[value])
            .err()
            .with_context(|| format!("{value} is taken"))?;
        ensure!(refused.to_string().contains(expect), "{refused}");
    }
    Ok(())
}

/// Probes are HTTP on a port that the kubelet reaches whatever the values, past the sidecar.
#[test]
fn probes_reach_the_collector_in_every_configuration() -> Result<()> {
    for values in [
        &[] as &[&str],
        &EVERYTHING,
        &["networkPolicy.enabled=false"],
    ] {
        let objects = render(values)?;
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment");
        let template = &deployment.context("no Deployment")?["spec"]["template"];
        let container = &template["spec"]["containers"][0];
        for (probe, path) in [
            ("startupProbe", "/livez"),
            ("livenessProbe", "/livez"),
            ("readinessProbe", "/readyz"),
        ] {
            let expect = json!({ "path": path, "port": "probes" });
            ensure!(
                container[probe]["httpGet"] == expect,
                "{probe} of {values:?}: {container}"
            );
        }
        let has =
            |list: &Value, item: Value| list.as_array().is_some_and(|list| list.contains(&item));
        ensure!(has(
            &container["ports"],
            json!({ "name": "probes", "containerPort": 8482 })
        ));
        ensure!(has(&container["args"], json!("--probes=0.0.0.0:8482")));
        let annotations = &template["metadata"]["annotations"];
        ensure!(annotations["traffic.sidecar.istio.io/excludeInboundPorts"] == "8482");
        ensure!(annotations["sidecar.istio.io/rewriteAppHTTPProbers"] == "false");
        let policy = objects
            .iter()
            .find(|object| object["kind"] == "NetworkPolicy");
        let open = json!({ "ports": [{ "port": 8482 }] });
        ensure!(policy.is_none_or(|policy| has(&policy["spec"]["ingress"], open)));
    }
    Ok(())
}

#[test]
fn the_chart_is_fit_for_production() -> Result<()> {
    let objects = render(&["admin.tokenSecret=token", "serviceMonitor.enabled=true"])?;
    let expect = json!({
        "Deployment": {
            "/spec/template/spec/serviceAccountName": "lazymesh-collector",
            "/spec/template/spec/containers/0/securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": { "drop": ["ALL"] },
                "privileged": false,
                "readOnlyRootFilesystem": true,
                "runAsGroup": 65532,
                "runAsNonRoot": true,
                "runAsUser": 65532,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "/spec/template/spec/containers/0/startupProbe/httpGet/path": "/livez",
            "/spec/template/spec/containers/0/livenessProbe/httpGet/path": "/livez",
            "/spec/template/spec/containers/0/readinessProbe/httpGet/path": "/readyz",
            "/spec/template/spec/containers/0/resources": {
                "requests": { "cpu": "100m", "memory": "128Mi" },
                "limits": { "memory": "512Mi" },
            },
        },
        "PeerAuthentication": {
            "/spec/mtls/mode": "STRICT",
        },
        "Sidecar": {
            "/spec/ingress/0/defaultEndpoint": "127.0.0.1:8480",
            "/spec/ingress/1/defaultEndpoint": "127.0.0.1:8481",
        },
        "PodDisruptionBudget": { "/spec/maxUnavailable": 1 },
        "NetworkPolicy": { "/spec/ingress/0/ports": [{ "port": 8480 }] },
        "ServiceMonitor": {
            "/spec/endpoints/0/authorization/credentials": { "name": "token", "key": "token" },
            "/spec/endpoints/0/port": "http-admin",
        },
        "Service": { "/spec/ports/1/name": "http-admin" },
    });
    for (kind, fields) in expect.as_object().context("a map")? {
        let object = objects.iter().find(|object| object["kind"] == **kind);
        let object = object.with_context(|| format!("no {kind}"))?;
        for (pointer, value) in fields.as_object().context("a map")? {
            let found = object.pointer(pointer);
            ensure!(found == Some(value), "{kind} {pointer}: {found:?}");
        }
    }
    Ok(())
}

#[test]
fn kube_apiserver_takes_the_chart() -> Result<()> {
    lab::disturbance("k8s-chart", async |lab, _| {
        lab.namespace(lab::LAZYMESH_NAMESPACE, &[]).await?;
        for values in [&[][..], &["store.persistent=false"], &EVERYTHING] {
            for object in render(values)? {
                dry_run(lab, &object).await?;
            }
        }
        Ok(())
    })
}
