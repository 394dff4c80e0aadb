//! istiod, with Istio's CustomResourceDefinitions and a mesh configuration that stock Envoy understands.

use std::{fs, net::Ipv4Addr, path::Path, time::Duration};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use serde_json::{Value, json};

use super::{
    cluster::Cluster,
    kubernetes::{SystemPod, kubeconfig, on_node},
    network::{Uplink, connect},
    part::Part,
    pod::{ACCESS_LOG, HOME},
    sandbox::Sandbox,
    tools::Tools,
};

/// Istio's root namespace.
pub const NAMESPACE: &str = "istio-system";
/// Where sidecars find istiod.
pub(super) const DISCOVERY: &str = "istiod.istio-system.svc:15012";

/// The port with istiod's metrics.
pub(super) const MONITORING: u16 = 15014;

const PATIENCE: Duration = Duration::from_secs(60);
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Starts istiod. `mesh` is merged over the lab's mesh configuration.
pub(super) async fn start(
    tools: &Tools,
    node: &Sandbox,
    uplink: &Uplink,
    folder: &Path,
    cluster: &Cluster,
    mesh: &Value,
) -> Result<Part> {
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
    cluster.apply_object(&namespace).await?;
    apply_definitions(cluster, &fs::read_to_string(tools.istio_crds())?).await?;
    apply_mesh(cluster, mesh).await?;
    let istiod = start_istiod(tools, node, folder)?;
    until_ready(&istiod, node).await?;
    apply_pod(node, uplink, cluster).await?;
    Ok(istiod)
}

fn start_istiod(tools: &Tools, node: &Sandbox, folder: &Path) -> Result<Part> {
    let (program, node) = (tools.program("pilot-discovery"), node.clone());
    let kubeconfig = kubeconfig(folder);
    // It writes its certificates to its working directory.
    let home = folder.join("istiod");
    fs::create_dir_all(&home)?;
    Part::start("istiod", &folder.join("logs"), move || {
        let mut command = node.command_in(&home, &program);
        command
            .args(["discovery", "--httpsAddr", "", "--monitoringAddr", ":15014"])
            // Every push, with its size.
            .args(["--log_output_level", "default:info,delta:debug"])
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            // Filters that only Istio's own build of Envoy has.
            .env("PILOT_ENABLE_ALPN_FILTER", "false")
            .env("PILOT_ENABLE_METADATA_EXCHANGE", "false")
            .env("ENABLE_CA_SERVER", "true")
            .env("PILOT_CERT_PROVIDER", "istiod")
            .env("ISTIOD_CUSTOM_HOST", "istiod.istio-system.svc")
            .env("POD_NAME", "istiod")
            .env("POD_NAMESPACE", NAMESPACE)
            // The lab is its own injector, and scenarios need to apply what a webhook would refuse.
            .env("VALIDATION_WEBHOOK_CONFIG_NAME", "")
            .env("INJECTION_WEBHOOK_CONFIG_NAME", "");
        command
    })
}

/// istiod's pod, by which others find out its version, and its Service.
async fn apply_pod(node: &Sandbox, uplink: &Uplink, cluster: &Cluster) -> Result<()> {
    let version =
        super::probe::get(node, (Ipv4Addr::LOCALHOST, MONITORING).into(), "/version").await?;
    let version = version.split('-').next().context("istiod has no version")?;
    let pod = SystemPod {
        namespace: NAMESPACE,
        name: "istiod",
        // As Istio's chart has them.
        labels: json!({ "app.kubernetes.io/version": version, "istio.io/rev": "default" }),
        cluster_ip: None,
    };
    let ports = [
        ("grpc-xds", "TCP", 15010),
        ("https-dns", "TCP", 15012),
        ("http-monitoring", "TCP", MONITORING),
    ];
    on_node(cluster, &pod, &ports, uplink.node).await
}

/// Waits until istiod answers sidecars.
pub(super) async fn until_ready(istiod: &Part, node: &Sandbox) -> Result<()> {
    let ready = async || is_ready(node).await;
    istiod.until("istiod to be ready", PATIENCE, ready).await
}

async fn is_ready(node: &Sandbox) -> Result<()> {
    super::probe::get(node, (Ipv4Addr::LOCALHOST, 8080).into(), "/ready").await?;
    // The port of the sidecars opens a little later.
    connect(node, (Ipv4Addr::LOCALHOST, 15012).into())
        .await
        .map(drop)
}

/// They are applied as they are: parsing them takes seconds in a debug build.
async fn apply_definitions(cluster: &Cluster, yaml: &str) -> Result<()> {
    let apply = async |document: &str| {
        let name = document
            .lines()
            .find_map(|line| line.strip_prefix("  name: "))
            .context("a CustomResourceDefinition without a name")?;
        cluster
            .apply_text(&format!("{DEFINITIONS}/{name}"), document)
            .await
    };
    let documents = yaml
        .split("\n---\n")
        .filter(|document| document.contains("\nkind: "));
    try_join_all(documents.map(apply)).await.map(drop)
}

/// The ConfigMap `istio`, which istiod follows. `changes` are merged over what the lab needs.
pub(super) async fn apply_mesh(cluster: &Cluster, changes: &Value) -> Result<()> {
    let mut mesh = json!({
        "accessLogFile": format!("{HOME}/{ACCESS_LOG}"),
        "defaultConfig": { "discoveryAddress": DISCOVERY },
        "enablePrometheusMerge": false,
        // The default provider needs a filter that only Istio's own build of Envoy has.
        "defaultProviders": { "metrics": [] },
        "rootNamespace": NAMESPACE,
        "trustDomain": "cluster.local",
    });
    merge(&mut mesh, changes);
    let map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "namespace": NAMESPACE, "name": "istio" },
        "data": { "mesh": serde_json::to_string_pretty(&mesh)?, "meshNetworks": "networks: {}" },
    });
    cluster.apply_object(&map).await.map(drop)
}

fn merge(into: &mut Value, changes: &Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, change) in changes {
                merge(into.entry(key.clone()).or_insert(Value::Null), change);
            }
        }
        (into, changes) => *into = changes.clone(),
    }
}
