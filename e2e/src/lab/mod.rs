//! The lab: a real Istio control plane and data plane on one machine, without containers.
//!
//! A scenario gets a Kubernetes API, an istiod, a registry and pods with sidecars; all of them are the real
//! programs, built from their Go modules. The lab itself does what is left when there is no container
//! runtime: it is kubelet (namespaces, links, tokens, status), the injector (sidecar) and the CNI plugin
//! (interception). Everything lives in Linux namespaces that end with the lab: see `sandbox`.

mod app;
mod cluster;
mod entrance;
mod envoy;
mod external;
mod helm;
mod image;
mod interception;
mod istio;
mod kubernetes;
mod lazymesh;
mod measure;
mod network;
mod part;
mod pod;
mod pod_spec;
mod probe;
mod pushes;
mod sandbox;
mod servers;
mod sessions;
mod shared;
mod sidecar;
mod status;
mod stream;
mod tools;
mod traffic;
mod workload;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use app::{Echo, Reply};
pub use cluster::{Cluster, reference};
pub use entrance::{GREETING, GRPC, HTTP};
pub use external::External;
pub use image::Image;
pub use istio::NAMESPACE as ISTIO_NAMESPACE;
pub use lazymesh::{
    Lazymesh, NAMESPACE as LAZYMESH_NAMESPACE, Options as LazymeshOptions, Remains,
};
pub use part::Part;
pub use pod::Pod;
pub use pod_spec::{PodSpec, Program};
pub use pushes::Push;
pub use sandbox::Life;
pub use servers::{SERVERS, Server};
pub use sessions::{Outcome, Outcomes, Sessions};
pub use shared::{disturbance, lazymesh, own_lazymesh, scenario, share_lazymesh};
pub use status::status;
pub use stream::Stream;
pub use traffic::{Tally, Traffic};

use crate::wait;
use istio::Revision;
use kubernetes::Kubernetes;
use network::Uplink;
use sandbox::Sandbox;
use tools::Tools;

const REGISTRY_PORT: u16 = 5000;
const PATIENCE: Duration = Duration::from_secs(20);

/// How a lab is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Tells labs of the same machine apart; a part of the lab's folder's name.
    pub name: String,
    /// How long it lives.
    pub life: Life,
    /// Merged over the lab's MeshConfig.
    pub mesh: Value,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: format!("{}", std::process::id()),
            life: Life::WithUs,
            mesh: json!({}),
        }
    }
}

/// What another process needs to use the lab.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entrance {
    node: Sandbox,
    uplink: Uplink,
}

/// A running control plane.
pub struct Lab {
    folder: PathBuf,
    life: Life,
    tools: Tools,
    node: Sandbox,
    uplink: Uplink,
    cluster: Cluster,
    kubernetes: Kubernetes,
    istiod: Part,
    registry: Part,
}

impl Lab {
    /// Starts the control plane, and waits until it is ready.
    ///
    /// # Errors
    /// What is missing on the machine, or the part that failed with the end of its log.
    pub async fn start(options: Options) -> Result<Self> {
        let tools = Tools::find()?;
        let folder = folder(&options.name);
        ensure!(
            !folder.exists(),
            "there is a lab {0:?} already, or what is left of one, in {1}: `cargo xtask lab --name {0} down`",
            options.name,
            folder.display()
        );
        fs::create_dir_all(&folder)?;
        let node = Sandbox::node(&folder, options.life).await?;
        let uplink = Uplink::create(&node)?;
        let entrance = Entrance { node, uplink };
        fs::write(entrance_file(&folder), serde_json::to_vec(&entrance)?)?;
        let lab = Self::start_in(tools, folder.clone(), entrance, &options).await;
        if lab.is_err() {
            // For whoever looks into why.
            fs::write(folder.join("keep"), "")?;
        }
        lab
    }

    async fn start_in(
        tools: Tools,
        folder: PathBuf,
        entrance: Entrance,
        options: &Options,
    ) -> Result<Self> {
        let Entrance { node, uplink } = entrance;
        let registry = start_registry(&tools, &node, &folder)?;
        let kubernetes = Kubernetes::start(&tools, &node, &uplink, &folder).await?;
        let cluster = kubernetes.cluster.clone();
        let istiod = istio::start(&tools, &node, &uplink, &folder, &cluster, &options.mesh).await?;
        let lab = Self {
            folder,
            life: options.life,
            tools,
            node,
            uplink,
            cluster,
            kubernetes,
            istiod,
            registry,
        };
        lab.until_registry_listens().await?;
        Ok(lab)
    }

    /// A namespace with these labels.
    ///
    /// # Errors
    /// When kube-apiserver refuses it.
    pub async fn namespace(&self, name: &str, labels: &[(&str, &str)]) -> Result<()> {
        let labels: serde_json::Map<String, Value> = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": name, "labels": labels },
        });
        self.cluster.apply_object(&namespace).await.map(drop)
    }

    /// Makes every sidecar of a namespace refuse plain text.
    ///
    /// # Errors
    /// When kube-apiserver refuses it.
    pub async fn strict_mtls(&self, namespace: &str) -> Result<()> {
        let mut policy = reference(
            "security.istio.io/v1",
            "PeerAuthentication",
            namespace,
            "default",
        );
        policy["spec"] = json!({ "mtls": { "mode": "STRICT" } });
        self.cluster.apply_object(&policy).await.map(drop)
    }

    /// Deletes a namespace and everything in it.
    ///
    /// # Errors
    /// When kube-apiserver refuses it.
    pub async fn delete_namespace(&self, name: &str) -> Result<()> {
        // There is no kubelet to confirm that a pod has ended, which the namespace's end would wait for.
        self.cluster.delete_pods(name).await?;
        let namespace =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        self.cluster.delete_object(&namespace).await
    }

    /// Waits until connections to a Service's port reach a pod.
    ///
    /// # Errors
    /// When they never do.
    pub async fn until_reachable(&self, namespace: &str, service: &str, port: u16) -> Result<()> {
        let service = reference("v1", "Service", namespace, service);
        let found = self
            .cluster
            .find(&service)
            .await?
            .context("no such Service")?;
        let address = found
            .data
            .pointer("/spec/clusterIP")
            .and_then(Value::as_str);
        let address: Ipv4Addr = address.context("a Service without an address")?.parse()?;
        wait::until("a Service to be reachable", async || {
            network::connect(&self.node, (address, port).into())
                .await
                .map(drop)
        })
        .await
    }

    /// A Service that selects the pods whose label `app` is its own name, with ports of the lab's
    /// application: `http` 80 and `grpc` 81.
    ///
    /// # Errors
    /// When kube-apiserver refuses it.
    pub async fn service(&self, namespace: &str, name: &str) -> Result<()> {
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "namespace": namespace, "name": name },
            "spec": {
                "selector": { "app": name },
                "ports": [
                    { "name": "http", "port": 80, "targetPort": HTTP },
                    { "name": "grpc", "port": 81, "targetPort": GRPC },
                ],
            },
        });
        self.cluster.apply_object(&service).await.map(drop)
    }

    /// Starts a pod, and waits until it is ready.
    ///
    /// # Errors
    /// The part that failed, with the end of its log.
    pub async fn pod(&self, spec: PodSpec) -> Result<Pod> {
        let name = format!("{}/{}", spec.namespace, spec.name);
        Pod::start(self, spec)
            .await
            .with_context(|| format!("cannot start pod {name}"))
    }

    /// Replaces the MeshConfig by the lab's own with `changes` merged over it.
    ///
    /// # Errors
    /// When kube-apiserver refuses it.
    pub async fn configure_mesh(&self, changes: &Value) -> Result<()> {
        istio::apply_mesh(&self.cluster, Revision::DEFAULT, changes).await
    }

    /// Starts a host outside the cluster, which all pods find by these names.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn external(&self, names: &[&str]) -> Result<External> {
        External::start(self, names).await
    }

    /// Makes a name outside the cluster resolve to `address`, in all pods.
    ///
    /// # Errors
    /// When the name server's file cannot be written.
    pub fn external_name(&self, name: &str, address: Ipv4Addr) -> Result<()> {
        use std::io::Write;
        let mut file = fs::File::options()
            .append(true)
            .open(kubernetes::hosts(&self.folder))?;
        // At once, for others may write, too.
        Ok(file.write_all(format!("{address} {name}\n").as_bytes())?)
    }

    /// Kubernetes.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// istiod.
    #[must_use]
    pub fn istiod(&self) -> &Part {
        &self.istiod
    }

    /// kube-apiserver.
    #[must_use]
    pub fn apiserver(&self) -> &Part {
        &self.kubernetes.apiserver
    }

    /// Ends istiod as `kill -9` does, and starts it again.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn restart_istiod(&self) -> Result<()> {
        self.istiod.kill().await?;
        self.istiod.start_again()?;
        istio::until_ready(&self.istiod, &self.node, Revision::DEFAULT).await
    }

    /// Starts one more istiod, with a name of its own. Its process ends with the lab, or when it is killed.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start_revision(&self, name: &str) -> Result<Part> {
        let revision = Revision::named(name);
        istio::apply_mesh(&self.cluster, revision, &json!({})).await?;
        istio::start_revision(
            &self.tools,
            &self.node,
            &self.uplink,
            &self.folder,
            &self.cluster,
            revision,
        )
        .await
    }

    /// Ends kube-apiserver as `kill -9` does, and starts it again.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn restart_apiserver(&self) -> Result<()> {
        self.kubernetes.apiserver.kill().await?;
        self.kubernetes.apiserver.start_again()?;
        self.kubernetes.until_ready().await
    }

    /// etcd.
    #[must_use]
    pub fn etcd(&self) -> &Part {
        &self.kubernetes.etcd
    }

    /// An answer of istiod's monitoring port, for example to `/metrics`, or of its debug interface.
    ///
    /// # Errors
    /// When there is no answer, or none with status 200.
    pub async fn istiod_get(&self, path: &str) -> Result<String> {
        let debug = path.starts_with("/debug");
        let port = if debug { 8080 } else { istio::MONITORING };
        probe::get(&self.node, (Ipv4Addr::LOCALHOST, port).into(), path).await
    }

    /// The registry, as `host:port` of URLs; it speaks plain HTTP.
    #[must_use]
    pub fn registry_address(&self) -> String {
        format!("{}:{REGISTRY_PORT}", self.uplink.node)
    }

    /// The registry's process. What was pushed is lost when it ends.
    #[must_use]
    pub fn registry(&self) -> &Part {
        &self.registry
    }

    /// Waits until the registry listens, after it was started again.
    ///
    /// # Errors
    /// When it does not.
    pub async fn until_registry_listens(&self) -> Result<()> {
        let listens = async || {
            network::connect(&self.node, registry_on_loopback())
                .await
                .map(drop)
        };
        self.registry
            .until("the registry to listen", PATIENCE, listens)
            .await
    }

    /// Logs and files of the lab.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The kubeconfig with every right.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        kubernetes::kubeconfig(&self.folder)
    }

    /// What kube-apiserver was asked by the accounts of lazymesh's namespace: audit events, one a line.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn audit_log(&self) -> Result<String> {
        fs::read_to_string(kubernetes::audit_log(&self.folder)).context("no audit log")
    }

    /// Keeps the folder when the lab ends.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn keep(&self) -> Result<()> {
        Ok(fs::write(self.folder.join("keep"), "")?)
    }
}

fn start_registry(tools: &Tools, node: &Sandbox, folder: &Path) -> Result<Part> {
    let (program, node) = (tools.program("registry"), node.clone());
    Part::start("registry", &folder.join("logs"), move || {
        let mut command = node.command(&program);
        command.args(["--address", &format!(":{REGISTRY_PORT}")]);
        command
    })
}

fn registry_on_loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, REGISTRY_PORT).into()
}

/// The folder of a lab.
fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("lazymesh-lab-{name}"))
}

fn entrance_file(folder: &Path) -> PathBuf {
    folder.join("entrance.json")
}

/// Takes a lab down, whatever is left of it. Gives whether there was one.
///
/// # Errors
/// When something of it stays.
pub async fn down(name: &str) -> Result<bool> {
    let folder = folder(name);
    if !folder.exists() {
        return Ok(false);
    }
    match fs::read(entrance_file(&folder)) {
        Ok(entrance) => {
            let Entrance { node, uplink } = serde_json::from_slice(&entrance)?;
            node.end().await?;
            uplink.remove()?;
        }
        Err(_) => {
            if let Ok(node) = Sandbox::of_node(&folder) {
                node.end().await?;
            }
        }
    }
    wait::until("the lab's folder to go", async || {
        // The node's own tidying may be under way, and be quicker.
        let _ = fs::remove_dir_all(&folder);
        ensure!(!folder.exists(), "{} is still there", folder.display());
        Ok(())
    })
    .await?;
    Ok(true)
}

/// `program`, to be run as root in a pod of a lab that another process started.
///
/// # Errors
/// When there is no such lab, or it has no such pod.
pub fn enter(lab: &str, namespace: &str, pod: &str, program: &str) -> Result<Command> {
    let folder = folder(lab);
    ensure!(folder.exists(), "there is no lab: `cargo xtask lab up`");
    let entrance = entrance::Entrance::of(&folder, namespace, pod)?;
    Ok(entrance.sandbox.command(program))
}
