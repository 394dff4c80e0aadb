//! istiod, with Istio's CustomResourceDefinitions and a mesh configuration that stock Envoy understands.

use std::{fs, net::Ipv4Addr, path::Path, time::Duration};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use serde_json::{Value, json};

use super::{
    cluster::Cluster,
    entrance::{ACCESS_LOG, HOME},
    kubernetes::{SystemPod, kubeconfig, on_node},
    network::{Uplink, connect},
    part::Part,
    sandbox::Sandbox,
    tools::Tools,
};

/// Istio's root namespace.
pub const NAMESPACE: &str = "istio-system";
/// The port with istiod's metrics.
pub(super) const MONITORING: u16 = 15014;
/// The port of sidecars.
const DISCOVERY: u16 = 15012;
/// How far the ports of a second istiod are from those of the first.
const SECOND: u16 = 100;

const PATIENCE: Duration = Duration::from_secs(60);
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// A control plane beside others.
#[derive(Clone, Copy)]
pub(super) struct Revision<'a>(&'a str);

impl<'a> Revision<'a> {
    /// The one without a name of its own.
    pub(super) const DEFAULT: Revision<'static> = Revision("default");

    pub(super) fn named(name: &'a str) -> Self {
        Self(name)
    }

    /// Name of whatever there is one of a control plane.
    fn name(self, of: &str) -> String {
        match self.0 {
            "default" => of.to_owned(),
            name => format!("{of}-{name}"),
        }
    }

    fn port(self, of_default: u16) -> u16 {
        match self.0 {
            "default" => of_default,
            _ => of_default + SECOND,
        }
    }

    fn host(self) -> String {
        format!("{}.{NAMESPACE}.svc", self.name("istiod"))
    }

    /// Where sidecars find its istiod.
    pub(super) fn discovery(self) -> String {
        format!("{}:{}", self.host(), self.port(DISCOVERY))
    }
}

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
    apply_mesh(cluster, Revision::DEFAULT, mesh).await?;
    start_revision(tools, node, uplink, folder, cluster, Revision::DEFAULT).await
}

/// Starts an istiod whose mesh configuration is there.
pub(super) async fn start_revision(
    tools: &Tools,
    node: &Sandbox,
    uplink: &Uplink,
    folder: &Path,
    cluster: &Cluster,
    revision: Revision<'_>,
) -> Result<Part> {
    let istiod = start_istiod(tools, node, folder, revision)?;
    until_ready(&istiod, node, revision).await?;
    apply_pod(node, uplink, cluster, revision).await?;
    Ok(istiod)
}

fn start_istiod(
    tools: &Tools,
    node: &Sandbox,
    folder: &Path,
    revision: Revision<'_>,
) -> Result<Part> {
    let (program, node) = (tools.program("pilot-discovery"), node.clone());
    let kubeconfig = kubeconfig(folder);
    // It writes its certificates to its working directory.
    let name = revision.name("istiod");
    let home = folder.join(&name);
    fs::create_dir_all(&home)?;
    let addresses = [
        ("--httpAddr", 8080),
        ("--grpcAddr", 15010),
        ("--secureGRPCAddr", DISCOVERY),
        ("--monitoringAddr", MONITORING),
    ]
    .map(|(flag, port)| [flag.to_owned(), format!(":{}", revision.port(port))]);
    let (own, host) = (revision.0.to_owned(), revision.host());
    Part::start(&name.clone(), &folder.join("logs"), move || {
        let mut command = node.command_in(&home, &program);
        command
            .args(["discovery", "--httpsAddr", ""])
            .args(addresses.iter().flatten())
            // Every push, with its size.
            .args(["--log_output_level", "default:info,delta:debug"])
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            // Filters that only Istio's own build of Envoy has.
            .env("PILOT_ENABLE_ALPN_FILTER", "false")
            .env("PILOT_ENABLE_METADATA_EXCHANGE", "false")
            .env("ENABLE_CA_SERVER", "true")
            .env("PILOT_CERT_PROVIDER", "istiod")
            .env("ISTIOD_CUSTOM_HOST", &host)
            .env("REVISION", &own)
            .env("POD_NAME", &name)
            .env("POD_NAMESPACE", NAMESPACE)
            // The lab is its own injector, and scenarios need to apply what a webhook would refuse.
            .env("VALIDATION_WEBHOOK_CONFIG_NAME", "")
            .env("INJECTION_WEBHOOK_CONFIG_NAME", "");
        command
    })
}

/// istiod's pod, by which others find out its version, and its Service.
async fn apply_pod(
    node: &Sandbox,
    uplink: &Uplink,
    cluster: &Cluster,
    revision: Revision<'_>,
) -> Result<()> {
    let monitoring = (Ipv4Addr::LOCALHOST, revision.port(MONITORING)).into();
    let version = super::probe::get(node, monitoring, "/version").await?;
    let version = version.split('-').next().context("istiod has no version")?;
    let pod = SystemPod {
        namespace: NAMESPACE,
        name: &revision.name("istiod"),
        // As Istio's chart has them.
        labels: json!({
            "app": "istiod", "app.kubernetes.io/version": version, "istio.io/rev": revision.0,
        }),
        cluster_ip: None,
    };
    let ports = [
        ("grpc-xds", "TCP", revision.port(15010)),
        ("https-dns", "TCP", revision.port(DISCOVERY)),
        ("http-monitoring", "TCP", revision.port(MONITORING)),
    ];
    on_node(cluster, &pod, &ports, uplink.node).await
}

/// Waits until istiod answers sidecars.
pub(super) async fn until_ready(
    istiod: &Part,
    node: &Sandbox,
    revision: Revision<'_>,
) -> Result<()> {
    let ready = async || is_ready(node, revision).await;
    istiod.until("istiod to be ready", PATIENCE, ready).await
}

async fn is_ready(node: &Sandbox, revision: Revision<'_>) -> Result<()> {
    let at = |port| (Ipv4Addr::LOCALHOST, revision.port(port)).into();
    super::probe::get(node, at(8080), "/ready").await?;
    // The port of the sidecars opens a little later.
    connect(node, at(DISCOVERY)).await.map(drop)
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
pub(super) async fn apply_mesh(
    cluster: &Cluster,
    revision: Revision<'_>,
    changes: &Value,
) -> Result<()> {
    let mut mesh = json!({
        "accessLogFile": format!("{HOME}/{ACCESS_LOG}"),
        "defaultConfig": { "discoveryAddress": revision.discovery() },
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
        "metadata": { "namespace": NAMESPACE, "name": revision.name("istio") },
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
