//! The sidecar of a pod: pilot-agent and Envoy, with the files that the injector would have mounted.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    Lab,
    cluster::{Cluster, reference},
    entrance::{Entrance, HOME, PROGRAMS},
    interception::PROXY_USER,
    istio::Revision,
    part::Part,
    pod_spec::PodSpec,
};
use crate::wait;

/// istiod writes its root certificate to every namespace.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts pilot-agent, which starts Envoy.
pub(super) async fn start(
    lab: &Lab,
    spec: &PodSpec,
    entrance: &Entrance,
    folder: &Path,
) -> Result<Part> {
    write_files(&lab.cluster, spec, folder).await?;
    let env = environment(spec, entrance, lab.registry_address())?;
    let sandbox = entrance.sandbox.clone();
    let domain = format!("{}.svc.cluster.local", spec.namespace);
    let role = if spec.gateway { "router" } else { "sidecar" };
    Part::start("sidecar", folder, move || {
        // Its paths are relative to its working directory, which in an image is the root.
        let mut command = sandbox.command_in(Path::new(HOME), "setpriv");
        let user = PROXY_USER.to_string();
        command
            .args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"])
            .arg(format!("{PROGRAMS}/bin/pilot-agent"))
            .args(["proxy", role, "--domain", &domain])
            .args(["--concurrency", "2", "--proxyLogLevel", "warning"])
            .envs(&env);
        command
    })
}

fn environment(
    spec: &PodSpec,
    entrance: &Entrance,
    registry: String,
) -> Result<BTreeMap<String, String>> {
    let revision = spec.revision.as_deref();
    let discovery = revision
        .map_or(Revision::DEFAULT, Revision::named)
        .discovery();
    let config = json!({
        "binaryPath": "/run/envoy",
        "configPath": format!("{HOME}/etc/istio/proxy"),
        "proxyBootstrapTemplatePath": format!("{PROGRAMS}/envoy_bootstrap.json"),
        "discoveryAddress": discovery,
        "concurrency": 2,
    });
    let address = entrance.address.to_string();
    let mut env: BTreeMap<String, String> = [
        ("POD_NAME", spec.name.as_str()),
        ("POD_NAMESPACE", &spec.namespace),
        ("INSTANCE_IP", &address),
        ("SERVICE_ACCOUNT", spec.sidecar_account()),
        ("PROXY_CONFIG", &config.to_string()),
        ("CA_ADDR", &discovery),
        ("PILOT_CERT_PROVIDER", "istiod"),
        ("TRUST_DOMAIN", "cluster.local"),
        ("ISTIO_META_CLUSTER_ID", "Kubernetes"),
        ("ISTIO_META_INTERCEPTION_MODE", "REDIRECT"),
        ("ISTIO_META_WORKLOAD_NAME", &spec.name),
        ("ISTIO_META_MESH_ID", "cluster.local"),
        ("WASM_INSECURE_REGISTRIES", &registry),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect();
    env.extend(spec.proxy_env.clone());
    Ok(env)
}

async fn write_files(cluster: &Cluster, spec: &PodSpec, folder: &Path) -> Result<()> {
    let labels: String = spec
        .all_labels()
        .iter()
        .map(|(key, value)| format!("{key}={value:?}\n"))
        .collect();
    let root = root_certificate(cluster, &spec.namespace).await?;
    let token = match &spec.identity {
        Some(other) => foreign_token(cluster, &spec.namespace, other).await?,
        None => token(cluster, spec, "istio-ca").await?,
    };
    for (path, text) in [
        ("etc/istio/pod/labels", labels),
        ("etc/istio/pod/annotations", String::new()),
        ("var/run/secrets/istio/root-cert.pem", root),
        ("var/run/secrets/tokens/istio-token", token),
    ] {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().context("a path without a folder")?)?;
        fs::write(path, text)?;
    }
    // pilot-agent makes sockets and Envoy's bootstrap beside them.
    for path in ["", "etc/istio/proxy", "var/run/secrets"] {
        own(&folder.join(path))?;
    }
    Ok(())
}

fn own(path: &PathBuf) -> Result<()> {
    fs::create_dir_all(path)?;
    Ok(chown(path, Some(PROXY_USER), Some(PROXY_USER))?)
}

async fn root_certificate(cluster: &Cluster, namespace: &str) -> Result<String> {
    let map = reference("v1", "ConfigMap", namespace, "istio-ca-root-cert");
    wait::until_within("istiod's root certificate", PATIENCE, async || {
        let map = cluster.find(&map).await?.context("no ConfigMap")?;
        let text = map
            .data
            .pointer("/data/root-cert.pem")
            .and_then(Value::as_str);
        Ok(text
            .context("a ConfigMap without a certificate")?
            .to_owned())
    })
    .await
}

/// A token of the pod's ServiceAccount, good for as long as the pod exists.
pub(super) async fn token(cluster: &Cluster, spec: &PodSpec, audience: &str) -> Result<String> {
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "name": spec.name });
    let request = json!({ "audiences": [audience], "boundObjectRef": pod });
    request_token(cluster, &spec.namespace, spec.account(), request).await
}

/// A token of a ServiceAccount that a pod should not have, made for whoever shows it to istiod.
async fn foreign_token(cluster: &Cluster, namespace: &str, account: &str) -> Result<String> {
    let reference = reference("v1", "ServiceAccount", namespace, account);
    cluster.apply_object(&reference).await?;
    let request = json!({ "audiences": ["istio-ca"] });
    request_token(cluster, namespace, account, request).await
}

async fn request_token(
    cluster: &Cluster,
    namespace: &str,
    account: &str,
    mut spec: Value,
) -> Result<String> {
    spec["expirationSeconds"] = json!(24 * 3600);
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": spec,
    });
    let answer: Value = cluster.post(&path, &request).await?;
    let token = answer.pointer("/status/token").and_then(Value::as_str);
    Ok(token.context("an answer without a token")?.to_owned())
}
