//! Looks at what lazymesh finds in a cluster: Kubernetes, Istio, their kinds, and what others have put there.

use kube::api::ListParams;
use kube::{Client, ResourceExt};
use lazymesh_envoyfilters::IstioVersion;

use super::Checkup;
use super::finding::{Finding, some};
use crate::attach::istio_version;
use crate::kubernetes::error::ask;
use crate::kubernetes::kinds::{ENVOY_FILTER, SERVICE, SIDECAR, WASM_PLUGIN, inventory};
use crate::publish::kubernetes::owner::Owner;

pub(super) async fn kubernetes(client: &Client) -> Finding {
    let check = "kubernetes";
    match ask("the API server", client.apiserver_version()).await {
        Ok(version) => Finding::ok(check, version.git_version),
        Err(error) => Finding::fail(
            check,
            error,
            "does `kubectl version` work with the same --context?",
        ),
    }
}

pub(super) async fn istio(client: &Client, checkup: &Checkup) -> Finding {
    let check = "istio";
    if let Some(given) = checkup.istio {
        return Finding::ok(check, given);
    }
    match istio_version::find(client, &checkup.istio_namespace, &checkup.owner()).await {
        Ok(version) => Finding::ok(check, version),
        Err(error) => {
            let known = IstioVersion::ALL.map(|it| it.to_string()).join(", ");
            let hint = format!(
                "lazymesh knows {known}; name another place by --istio-namespace or --revision"
            );
            Finding::fail(check, error, hint)
        }
    }
}

pub(super) async fn kinds(client: &Client) -> Finding {
    let check = "kinds";
    let one = ListParams::default().limit(1);
    let (mut served, mut missing, mut closed) = (0, Vec::new(), Vec::new());
    for kind in inventory() {
        match ask(kind.kind, kind.all(client).list(&one)).await {
            Ok(_) => served += 1,
            Err(error) if error.is_not_found() => {
                let needed = !kind.is_optional()
                    || [ENVOY_FILTER, WASM_PLUGIN]
                        .iter()
                        .any(|it| it.plural == kind.plural);
                missing.extend(needed.then(|| kind.kind.to_owned()));
            }
            Err(error) => closed.push(error.to_string()),
        }
    }
    match (missing.is_empty(), closed.first()) {
        (false, _) => {
            let detail = format!(
                "expected the CustomResourceDefinitions of Istio, got none of {}",
                some(&missing)
            );
            Finding::fail(check, detail, "install Istio's chart `base`, then istiod")
        }
        (true, Some(error)) => Finding::warn(check, error, "look as somebody who may list them"),
        (true, None) => Finding::ok(check, format!("{served} kinds are served")),
    }
}

/// What has one of our names and is not ours.
pub(super) async fn clashes(client: &Client, checkup: &Checkup) -> Finding {
    let check = "clashes";
    let mut found = Vec::new();
    for (kind, namespace, names) in [
        (
            WASM_PLUGIN,
            &checkup.root_namespace,
            &["lazymesh", "lazymesh-tcp"][..],
        ),
        (
            ENVOY_FILTER,
            &checkup.root_namespace,
            &["lazymesh", "lazymesh-als"],
        ),
        (SERVICE, &checkup.namespace, &["lazymesh-ports"]),
    ] {
        for name in names {
            let object = ask(kind.kind, kind.within(client, namespace).get_opt(name)).await;
            let object = object.ok().flatten();
            if object.is_some_and(|it| !Owner::default().owns(&it)) {
                found.push(format!("{} {namespace}/{name}", kind.kind));
            }
        }
    }
    match found.is_empty() {
        true => Finding::ok(check, "nothing else has a name of lazymesh's"),
        false => Finding::fail(
            check,
            format!("{} is somebody else's", some(&found)),
            "lazymesh leaves alone what it does not own: rename or delete it",
        ),
    }
}

/// Sidecars that people wrote.
pub(super) async fn user_sidecars(client: &Client) -> Finding {
    let check = "user Sidecars";
    let sidecars = ask(
        SIDECAR.kind,
        SIDECAR.all(client).list(&ListParams::default()),
    )
    .await;
    let theirs: Vec<String> = match sidecars {
        Ok(list) => list
            .items
            .iter()
            .filter(|it| !Owner::default().owns(it))
            .map(|it| format!("{}/{}", it.namespace().unwrap_or_default(), it.name_any()))
            .collect(),
        Err(error) => return Finding::warn(check, error, "look as somebody who may list them"),
    };
    match theirs.is_empty() {
        true => Finding::ok(check, "none"),
        false => Finding::warn(
            check,
            format!("{} of them: {}", theirs.len(), some(&theirs)),
            "what they select keeps the scope that they say; delete them to have it learned",
        ),
    }
}
