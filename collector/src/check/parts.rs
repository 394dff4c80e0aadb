//! Looks at what lazymesh consists of.

use kube::api::{DynamicObject, ListParams};
use kube::{Client, ResourceExt};
use lazymesh_core::MODE_LABEL;
use serde_json::Value;

use super::Checkup;
use super::finding::{Finding, some};
use crate::kubernetes::error::ask;
use crate::kubernetes::kinds::{
    ApiKind, DEPLOYMENT, ENVOY_FILTER, NAMESPACE, SERVICE, WASM_PLUGIN,
};

/// The collector's Deployment in the chart.
const COLLECTOR: &str = "lazymesh-collector";
const ANCHOR: &str = "lazymesh-ports";

pub(super) async fn collector(client: &Client, checkup: &Checkup) -> Finding {
    let check = "collector";
    let hint = format!(
        "see `kubectl --namespace {} describe pods`",
        checkup.namespace
    );
    let available = |it: &DynamicObject| {
        let available = it.data.pointer("/status/availableReplicas");
        available.and_then(Value::as_u64).unwrap_or_default() > 0
    };
    match find(client, DEPLOYMENT, &checkup.namespace, COLLECTOR).await {
        Ok(deployment) if available(&deployment) => Finding::ok(check, "it is available"),
        Ok(_) => Finding::fail(check, "none of its pods is available", hint),
        Err(reason) => Finding::fail(check, reason, "install the chart, or name its --namespace"),
    }
}

pub(super) async fn attachment(client: &Client, checkup: &Checkup) -> Finding {
    let check = "attachment";
    let hint = "the collector's check `attachment` says why; without attachment.enabled apply what `lazymesh manifests` prints";
    for (kind, name) in [(ENVOY_FILTER, "lazymesh"), (WASM_PLUGIN, "lazymesh")] {
        if let Err(reason) = find(client, kind, &checkup.root_namespace, name).await {
            return Finding::fail(check, reason, hint);
        }
    }
    match module(client, checkup).await {
        Some(url) => Finding::ok(check, format!("sidecars fetch {url}")),
        None => Finding::fail(check, "the WasmPlugin has no url", hint),
    }
}

pub(super) async fn module(client: &Client, checkup: &Checkup) -> Option<String> {
    let plugin = find(client, WASM_PLUGIN, &checkup.root_namespace, "lazymesh").await;
    let url = plugin.ok()?.data.pointer("/spec/url")?.as_str()?.to_owned();
    Some(url)
}

pub(super) async fn anchor(client: &Client, checkup: &Checkup) -> Finding {
    let check = "port anchor";
    let service = match find(client, SERVICE, &checkup.namespace, ANCHOR).await {
        Ok(service) => service,
        Err(reason) => {
            let hint = "without it sidecars of small scopes listen on no port; the collector applies it with the attachment";
            return Finding::fail(check, reason, hint);
        }
    };
    let ports = service
        .data
        .pointer("/spec/ports")
        .and_then(Value::as_array);
    let ports = ports.into_iter().flatten();
    let ports: Vec<_> = ports.map(|it| it["port"].to_string()).collect();
    Finding::ok(check, format!("ports {}", some(&ports)))
}

pub(super) async fn enforced(client: &Client) -> Finding {
    let check = "enforced namespaces";
    let labelled = ListParams::default().labels(&format!("{MODE_LABEL}=enforce"));
    match ask(NAMESPACE.kind, NAMESPACE.all(client).list(&labelled)).await {
        Ok(list) if list.items.is_empty() => Finding::ok(
            check,
            format!("none has the label {MODE_LABEL}: enforce; lazymesh only learns there"),
        ),
        Ok(list) => {
            let names: Vec<_> = list.items.iter().map(ResourceExt::name_any).collect();
            Finding::ok(check, some(&names))
        }
        Err(error) => Finding::warn(check, error, "look as somebody who may list them"),
    }
}

/// An object, or why there is none.
async fn find(
    client: &Client,
    kind: ApiKind,
    namespace: &str,
    name: &str,
) -> Result<DynamicObject, String> {
    let place = format!("{} {namespace}/{name}", kind.kind);
    match ask(&place, kind.within(client, namespace).get_opt(name)).await {
        Ok(Some(object)) => Ok(object),
        Ok(None) => Err(format!("there is no {place}")),
        Err(error) => Err(error.to_string()),
    }
}
