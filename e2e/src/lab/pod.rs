//! A pod: its objects in Kubernetes, its namespaces, its sidecar and its application.

use std::{
    ffi::OsStr,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use http::Method;
use serde_json::{Value, json};

use super::{
    Lab, Life, PodSpec,
    app::{self, Reply},
    cluster::reference,
    entrance::{Entrance, HTTP, folder},
    interception,
    kubernetes::{self, NODE},
    network::{self, DNS, POD_RANGE},
    part::Part,
    probe,
    sandbox::Sandbox,
    sessions::Sessions,
    sidecar,
    stream::Stream,
    traffic::Traffic,
};

/// A sidecar is there in 3 s on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Mounts of a pod. `$1` is the pod's folder, `$2` the lab's programs, `$3` Envoy, `$4` the application; behind
/// them pairs of a file or folder and where the pod has it.
const MOUNTS: &str = r#"
mount -t tmpfs tmpfs /run
mkdir -p /run/pod /run/programs /run/secrets/kubernetes.io/serviceaccount
touch /run/envoy /run/app
mount --bind "$1" /run/pod
mount --bind "$1/serviceaccount" /run/secrets/kubernetes.io/serviceaccount
mount --bind "$2" /run/programs
mount --bind "$3" /run/envoy
mount --bind "$4" /run/app
[ -L /var/run ] || mount --bind /run /var/run
mount -t tmpfs tmpfs /var/lib
mkdir -p /var/lib/istio/data
chown 1337:1337 /var/lib/istio/data
resolv=$(readlink -m /etc/resolv.conf)
mkdir -p "$(dirname "$resolv")"
[ -e "$resolv" ] || touch "$resolv"
mount --bind /run/pod/resolv.conf "$resolv"
shift 4
while [ $# -gt 0 ]; do
  if [ -d "$1" ]; then mkdir -p "$2"; else touch "$2"; fi
  mount --bind "$1" "$2"
  shift 2
done
"#;

/// A running pod.
pub struct Pod {
    spec: PodSpec,
    entrance: Entrance,
    folder: PathBuf,
    sidecar: Option<Part>,
    app: Part,
    /// Whether it outlives this value, as pods of a lab for people do.
    stays: bool,
}

impl Drop for Pod {
    fn drop(&mut self) {
        if !self.stays {
            // What cannot be ended now ends with the lab.
            let _ = self.entrance.sandbox.kill();
        }
    }
}

impl Pod {
    pub(super) async fn start(lab: &Lab, spec: PodSpec) -> Result<Self> {
        let folder = folder(&lab.folder, &spec.namespace, &spec.name);
        ensure!(
            !folder.exists(),
            "there is already a pod {}/{}",
            spec.namespace,
            spec.name
        );
        fs::create_dir_all(&folder)?;
        let address = POD_RANGE.take(&lab.folder.join("addresses"))?;
        apply(lab, &spec).await?;
        write_files(lab, &spec, &folder).await?;
        let sandbox = sandbox(lab, &spec, &folder).await?;
        POD_RANGE.link(&lab.node, lab.uplink.node, &sandbox, address)?;
        let entrance = Entrance { sandbox, address };
        entrance.write(&folder)?;
        let app = app::start(&spec, &entrance, &folder)?;
        let sidecar = if spec.without_sidecar {
            None
        } else {
            if !spec.gateway {
                let dns = spec.proxy_env.get("ISTIO_META_DNS_CAPTURE");
                interception::install(&entrance.sandbox, dns.is_some_and(|value| value == "true"))?;
            }
            Some(sidecar::start(lab, &spec, &entrance, &folder).await?)
        };
        let pod = Self {
            spec,
            entrance,
            folder,
            sidecar,
            app,
            stays: lab.life == Life::UntilDown,
        };
        pod.wait().await?;
        pod.report(lab, true).await?;
        Ok(pod)
    }

    async fn wait(&self) -> Result<()> {
        if let Some(sidecar) = &self.sidecar {
            let ready = async || {
                self.local(15021, Method::GET, "/healthz/ready")
                    .await
                    .map(drop)
            };
            sidecar
                .until("the sidecar to be ready", PATIENCE, ready)
                .await?;
        }
        if self.spec.program.is_none() {
            let listens = async || self.local(HTTP, Method::GET, "/").await.map(drop);
            self.app
                .until("the application to listen", PATIENCE, listens)
                .await?;
        }
        Ok(())
    }

    /// Tells Kubernetes, as kubelet does, that the pod runs, and whether it is ready.
    async fn report(&self, lab: &Lab, ready: bool) -> Result<()> {
        let PodSpec {
            namespace, name, ..
        } = &self.spec;
        let status = kubernetes::running(namespace, name, self.entrance.address, ready);
        lab.cluster.apply_status(&status).await
    }

    /// Makes Services leave the pod out, or take it in.
    ///
    /// # Errors
    /// When kube-apiserver refuses.
    pub async fn set_ready(&self, lab: &Lab, ready: bool) -> Result<()> {
        self.report(lab, ready).await
    }

    /// What it was made from.
    #[must_use]
    pub fn spec(&self) -> &PodSpec {
        &self.spec
    }

    /// The pod's address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.entrance.address
    }

    /// Logs and files of the pod.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the application gets when it asks for `url`.
    ///
    /// # Errors
    /// When no answer comes at all.
    pub async fn get(&self, url: &str) -> Result<Reply> {
        self.send(&[url]).await
    }

    /// As [`Pod::get`], with more of the client's arguments: `lazymesh-app get --help`.
    ///
    /// # Errors
    /// When no answer comes at all.
    pub async fn send(&self, arguments: &[&str]) -> Result<Reply> {
        app::ask(&self.entrance, "get", arguments).await
    }

    /// Starts drivers for these servers, which have sessions with them when told to.
    ///
    /// # Errors
    /// When they cannot be started.
    pub fn sessions(&self, urls: &[String]) -> Result<Sessions> {
        Sessions::start(&self.entrance, urls)
    }

    /// Makes a gRPC call to `origin`, which is scheme, host and port.
    ///
    /// # Errors
    /// When another status than OK comes back, or nothing.
    pub async fn grpc(&self, origin: &str) -> Result<Reply> {
        app::ask(&self.entrance, "grpc", &[origin]).await
    }

    /// What a server says that speaks first; nothing where the connection ends before.
    ///
    /// # Errors
    /// When the client cannot be started.
    pub async fn greeting(&self, host: &str, port: u16) -> Result<String> {
        app::greeting(&self.entrance, host, port).await
    }

    /// Opens a gRPC stream of messages from `origin`.
    ///
    /// # Errors
    /// When the client cannot be started.
    pub fn grpc_stream(&self, origin: &str) -> Result<Stream> {
        Stream::open(&self.entrance, origin)
    }

    /// Starts asking for each of `urls` again and again, one request each `every`, until told to stop. More of the
    /// client's arguments may be among them: `lazymesh-app load --help`.
    ///
    /// # Errors
    /// When the client cannot be started.
    pub fn traffic(&self, urls: &[&str], every: Duration) -> Result<Traffic> {
        Traffic::start(&self.entrance, urls, every)
    }

    /// `program`, to be run in the pod as root.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.entrance.sandbox.command(program)
    }

    /// Waits until a program of the pod listens on a port.
    ///
    /// # Errors
    /// When none does, with the end of the application's log.
    pub async fn until_listens(&self, port: u16) -> Result<()> {
        let to = SocketAddr::from((self.address(), port));
        let connect = async || network::connect(&self.entrance.sandbox, to).await.map(drop);
        let what = format!("port {port} to be listened on");
        self.app.until(&what, PATIENCE, connect).await
    }

    /// Asks a port on the pod's loopback, which is not intercepted.
    ///
    /// # Errors
    /// When there is no answer, or none with a status of 2xx.
    pub async fn local(&self, port: u16, method: Method, path: &str) -> Result<String> {
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        probe::request(&self.entrance.sandbox, to, method, path).await
    }

    /// The process pilot-agent, with Envoy below it.
    ///
    /// # Errors
    /// When the pod has no sidecar.
    pub fn sidecar(&self) -> Result<&Part> {
        self.sidecar.as_ref().context("a pod without a sidecar")
    }

    /// The application's process.
    #[must_use]
    pub fn app(&self) -> &Part {
        &self.app
    }

    /// Ends the pod as one of a Job ends: its object stays, and says that it succeeded.
    ///
    /// # Errors
    /// When it does not end, or kube-apiserver refuses.
    pub async fn succeed(&self, lab: &Lab) -> Result<()> {
        self.entrance.sandbox.end().await?;
        let PodSpec {
            namespace, name, ..
        } = &self.spec;
        let mut status = kubernetes::running(namespace, name, self.entrance.address, false);
        status["status"]["phase"] = json!("Succeeded");
        lab.cluster.apply_status(&status).await
    }

    /// Ends the pod and deletes its object.
    ///
    /// # Errors
    /// When one of the two fails.
    pub async fn delete(self, lab: &Lab) -> Result<()> {
        lab.cluster.delete_object(&self.object()).await?;
        self.entrance.sandbox.end().await?;
        fs::remove_dir_all(&self.folder).context("cannot remove a pod's folder")
    }

    fn object(&self) -> Value {
        reference("v1", "Pod", &self.spec.namespace, &self.spec.name)
    }
}

/// ServiceAccount and pod, as a user's Deployment and the injector would have made them.
async fn apply(lab: &Lab, spec: &PodSpec) -> Result<()> {
    let account = reference("v1", "ServiceAccount", &spec.namespace, spec.account());
    lab.cluster.apply_object(&account).await?;
    let ports = spec.program.iter().flat_map(|program| &program.ports);
    let ports: Vec<_> = ports
        .map(|(name, port)| json!({ "name": name, "containerPort": port }))
        .collect();
    let mut containers = vec![json!({ "name": "app", "image": "lab", "ports": ports })];
    if !spec.without_sidecar {
        // As the injector writes them, whichever of Istio's ways the user chose.
        let env: Vec<_> = (spec.proxy_env.iter())
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        let role = if spec.gateway { "router" } else { "sidecar" };
        let args = ["proxy", role];
        containers.push(json!({ "name": "istio-proxy", "image": "lab", "args": args, "env": env }));
    }
    let owners: Vec<&Value> = spec.owner.iter().collect();
    let mut annotations = json!({});
    if !spec.without_sidecar {
        // The injector notes whose sidecar it is.
        annotations["istio.io/rev"] = json!(spec.revision.as_deref().unwrap_or("default"));
    }
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": spec.namespace,
            "name": spec.name,
            "labels": spec.all_labels(),
            "annotations": annotations,
            "ownerReferences": owners,
        },
        "spec": {
            "nodeName": NODE,
            "serviceAccountName": spec.account(),
            "containers": containers,
        },
    });
    lab.cluster.apply_object(&pod).await.map(drop)
}

async fn sandbox(lab: &Lab, spec: &PodSpec, folder: &Path) -> Result<Sandbox> {
    let tools = &lab.tools;
    let mut arguments = vec![
        folder.as_os_str(),
        tools.folder.as_os_str(),
        tools.envoy.as_os_str(),
        tools.app.as_os_str(),
    ];
    if let Some(program) = &spec.program {
        arguments.extend([program.path.as_os_str(), OsStr::new(app::OTHER)]);
        for (from, to) in &program.volumes {
            arguments.extend([from.as_os_str(), to.as_os_str()]);
        }
    }
    lab.node.within(MOUNTS, &arguments, folder).await
}

/// What kubelet mounts into every pod.
async fn write_files(lab: &Lab, spec: &PodSpec, folder: &Path) -> Result<()> {
    let account = folder.join("serviceaccount");
    fs::create_dir_all(&account)?;
    let token = sidecar::token(&lab.cluster, spec, kubernetes::ISSUER).await?;
    fs::write(account.join("token"), token)?;
    fs::write(account.join("namespace"), &spec.namespace)?;
    fs::copy(
        kubernetes::certificate_authority(&lab.folder),
        account.join("ca.crt"),
    )?;
    fs::write(folder.join("resolv.conf"), resolv(&spec.namespace))?;
    Ok(())
}

fn resolv(namespace: &str) -> String {
    format!(
        "nameserver {DNS}\nsearch {namespace}.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"
    )
}
