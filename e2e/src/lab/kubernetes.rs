//! etcd and kube-apiserver, with the few controllers of Kubernetes that a mesh needs, kube-proxy and the name server.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use serde_json::{Value, json};

use super::{
    cluster::{Cluster, reference},
    lazymesh::NAMESPACE,
    network::{DNS, KUBERNETES, PODS, SERVICES, Uplink, connect},
    part::Part,
    sandbox::Sandbox,
    tools::Tools,
};

const PORT: u16 = 6443;
const PATIENCE: Duration = Duration::from_secs(60);

/// The node's name in Kubernetes.
pub(super) const NODE: &str = "lab";

/// Who issues ServiceAccounts' tokens, and for whom those are that pods use with kube-apiserver.
pub(super) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// The parts of Kubernetes.
pub(super) struct Kubernetes {
    pub(super) cluster: Cluster,
    pub(super) etcd: Part,
    pub(super) apiserver: Part,
}

/// Where kube-apiserver's files are, and what its clients need.
struct Files<'a> {
    folder: &'a Path,
    address: Ipv4Addr,
}

impl Kubernetes {
    pub(super) async fn start(
        tools: &Tools,
        node: &Sandbox,
        uplink: &Uplink,
        folder: &Path,
    ) -> Result<Self> {
        let files = Files {
            folder,
            address: uplink.node,
        };
        files.write()?;
        let etcd = start_etcd(tools, node, folder)?;
        etcd.until("etcd to listen", PATIENCE, async || {
            connect(node, (Ipv4Addr::LOCALHOST, 2379).into())
                .await
                .map(drop)
        })
        .await?;
        let apiserver = files.start_apiserver(tools, node)?;
        let cluster = Cluster::connect(&files.kubeconfig()?).await?;
        let kubernetes = Self {
            cluster,
            etcd,
            apiserver,
        };
        kubernetes.until_ready().await?;
        apply_node(&kubernetes.cluster, uplink.node).await?;
        files.start_others(tools, node)?;
        Ok(kubernetes)
    }

    /// Waits until kube-apiserver answers.
    pub(super) async fn until_ready(&self) -> Result<()> {
        let ready = async || self.cluster.is_ready().await;
        let what = "kube-apiserver to be ready";
        self.apiserver.until(what, PATIENCE, ready).await
    }
}

fn start_etcd(tools: &Tools, node: &Sandbox, folder: &Path) -> Result<Part> {
    let (program, data, node) = (tools.program("etcd"), folder.join("etcd"), node.clone());
    Part::start("etcd", &folder.join("logs"), move || {
        let mut command = node.command(&program);
        command
            .arg("--data-dir")
            .arg(&data)
            // The lab's objects need not survive a power cut.
            .args(["--unsafe-no-fsync", "--log-level", "warn"])
            .args(["--listen-client-urls", "http://127.0.0.1:2379"])
            .args(["--advertise-client-urls", "http://127.0.0.1:2379"])
            .args(["--listen-peer-urls", "http://127.0.0.1:2380"]);
        command
    })
}

/// The path of the kubeconfig with every right, below the lab's folder.
pub(super) fn kubeconfig(folder: &Path) -> PathBuf {
    folder.join("kubeconfig")
}

/// The path of what kube-apiserver was asked by lazymesh's accounts, an event a line.
pub(super) fn audit_log(folder: &Path) -> PathBuf {
    folder.join("kubernetes/audit.log")
}

/// The path of the certificate that kube-apiserver's is signed by.
pub(super) fn certificate_authority(folder: &Path) -> PathBuf {
    folder.join("kubernetes/ca.crt")
}

impl Files<'_> {
    fn at(&self, name: &str) -> PathBuf {
        self.folder.join("kubernetes").join(name)
    }

    fn write(&self) -> Result<()> {
        fs::create_dir_all(self.folder.join("kubernetes"))?;
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "lab");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let mut server = CertificateParams::new(vec!["kubernetes.default.svc".to_owned()])?;
        for address in [self.address, KUBERNETES, Ipv4Addr::LOCALHOST] {
            server
                .subject_alt_names
                .push(SanType::IpAddress(address.into()));
        }
        let server = server.signed_by(&key, &ca)?;
        let accounts = KeyPair::generate()?;
        let token: String = KeyPair::generate()?
            .public_key_raw()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        for (name, text) in [
            ("ca.crt", ca.pem()),
            ("server.crt", server.pem()),
            ("server.key", key.serialize_pem()),
            ("accounts.key", accounts.serialize_pem()),
            ("accounts.pub", accounts.public_key_pem()),
            (
                "tokens.csv",
                format!("{token},admin,admin,\"system:masters\"\n"),
            ),
        ] {
            fs::write(self.at(name), text)?;
        }
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "contexts": [{ "name": "lab", "context": { "cluster": "lab", "user": "admin" } }],
            "clusters": [{ "name": "lab", "cluster": {
                "server": format!("https://{}:{PORT}", self.address),
                "certificate-authority": self.at("ca.crt"),
            } }],
            "users": [{ "name": "admin", "user": { "token": token } }],
        });
        let audit = json!({
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [
                { "level": "Metadata", "userGroups": [format!("system:serviceaccounts:{NAMESPACE}")] },
                { "level": "None" },
            ],
        });
        // JSON is YAML.
        fs::write(self.at("audit.yaml"), audit.to_string())?;
        fs::write(
            kubeconfig(self.folder),
            serde_json::to_string_pretty(&config)?,
        )?;
        Ok(())
    }

    fn kubeconfig(&self) -> Result<String> {
        Ok(fs::read_to_string(kubeconfig(self.folder))?)
    }

    fn start_apiserver(&self, tools: &Tools, node: &Sandbox) -> Result<Part> {
        let (program, node) = (tools.program("kube-apiserver"), node.clone());
        let address = self.address.to_string();
        let files = [
            ("--tls-cert-file", self.at("server.crt")),
            ("--tls-private-key-file", self.at("server.key")),
            ("--service-account-key-file", self.at("accounts.pub")),
            (
                "--service-account-signing-key-file",
                self.at("accounts.key"),
            ),
            ("--token-auth-file", self.at("tokens.csv")),
            ("--cert-dir", self.at("certificates")),
            ("--audit-policy-file", self.at("audit.yaml")),
            ("--audit-log-path", audit_log(self.folder)),
        ];
        Part::start("kube-apiserver", &self.folder.join("logs"), move || {
            let mut command = node.command(&program);
            command
                .args(["--etcd-servers", "http://127.0.0.1:2379"])
                .args(["--advertise-address", &address])
                .args(["--secure-port", &PORT.to_string()])
                .args(["--service-cluster-ip-range", SERVICES])
                .args(["--service-account-issuer", ISSUER])
                .args(["--authorization-mode", "RBAC"])
                .arg("--anonymous-auth=false")
                // Pods are run by the lab, which gives them the tokens they need.
                .args(["--disable-admission-plugins", "ServiceAccount"]);
            for (flag, path) in &files {
                command.arg(flag).arg(path);
            }
            command
        })
    }

    fn start_others(&self, tools: &Tools, node: &Sandbox) -> Result<()> {
        let kubeconfig = kubeconfig(self.folder);
        let proxy = json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clusterCIDR": PODS,
            "hostnameOverride": NODE,
            "clientConnection": { "kubeconfig": &kubeconfig },
            // At once, where a real node gathers changes for a second.
            "nftables": { "minSyncPeriod": "0s", "syncPeriod": "30s" },
            // The machine's limits are not the lab's to change.
            "conntrack": { "maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s" },
        });
        fs::write(
            self.at("kube-proxy.yaml"),
            serde_json::to_string_pretty(&proxy)?,
        )?;
        fs::write(
            self.at("Corefile"),
            corefile(self.address, &kubeconfig, &hosts(self.folder)),
        )?;
        fs::write(hosts(self.folder), "")?;
        let part = |name: &str, flag: &'static str, file: PathBuf| {
            let (program, node) = (tools.program(name), node.clone());
            Part::start(name, &self.folder.join("logs"), move || {
                let mut command = node.command(&program);
                command.arg(flag).arg(&file);
                command
            })
        };
        part("controllers", "--kubeconfig", kubeconfig.clone())?;
        part("kube-proxy", "--config", self.at("kube-proxy.yaml"))?;
        part("coredns", "-conf", self.at("Corefile"))?;
        Ok(())
    }
}

/// Names outside the cluster, in the format of /etc/hosts.
pub(super) fn hosts(folder: &Path) -> PathBuf {
    folder.join("hosts")
}

fn corefile(address: Ipv4Addr, kubeconfig: &Path, hosts: &Path) -> String {
    format!(
        "cluster.local in-addr.arpa {{
  bind {address}
  errors
  ready {address}:8181
  kubernetes {{
    kubeconfig {}
    ttl 0
  }}
}}
. {{
  bind {address}
  errors
  hosts {} {{
    reload 100ms
    ttl 1
  }}
}}
",
        kubeconfig.display(),
        hosts.display()
    )
}

/// The node, and the name server's Service.
async fn apply_node(cluster: &Cluster, address: Ipv4Addr) -> Result<()> {
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": NODE, "labels": { "kubernetes.io/hostname": NODE } },
        "spec": { "podCIDR": PODS },
    });
    cluster.apply_object(&node).await?;
    let status = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": NODE },
        "status": {
            "addresses": [{ "type": "InternalIP", "address": address }],
            "conditions": [{ "type": "Ready", "status": "True", "reason": "Lab", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z", "lastHeartbeatTime": "2026-01-01T00:00:00Z" }],
        },
    });
    cluster.apply_status(&status).await?;
    let dns = SystemPod {
        namespace: "kube-system",
        name: "kube-dns",
        labels: json!({ "app": "kube-dns" }),
        cluster_ip: Some(DNS),
    };
    let ports = [("dns", "UDP", 53), ("dns-tcp", "TCP", 53)];
    on_node(cluster, &dns, &ports, address).await
}

/// A Service for what runs on the node itself, and the pod behind it, as if it used the host's network.
pub(super) async fn on_node(
    cluster: &Cluster,
    system: &SystemPod<'_>,
    ports: &[(&str, &str, u16)],
    address: Ipv4Addr,
) -> Result<()> {
    let SystemPod {
        namespace,
        name,
        labels,
        cluster_ip,
    } = system;
    let mut pod = reference("v1", "Pod", namespace, name);
    pod["metadata"]["labels"] = json!(labels);
    pod["spec"] = json!({
        "hostNetwork": true,
        "nodeName": NODE,
        "containers": [{ "name": "lab", "image": "lab" }],
    });
    cluster.apply_object(&pod).await?;
    cluster
        .apply_status(&running(namespace, name, address, true))
        .await?;
    let ports: Vec<_> = ports
        .iter()
        .map(|(name, protocol, port)| json!({ "name": name, "protocol": protocol, "port": port }))
        .collect();
    let mut service = reference("v1", "Service", namespace, name);
    service["spec"] = json!({ "ports": ports, "selector": labels });
    if let Some(cluster_ip) = cluster_ip {
        service["spec"]["clusterIP"] = json!(cluster_ip);
    }
    cluster.apply_object(&service).await.map(drop)
}

/// A pod of the control plane.
pub(super) struct SystemPod<'a> {
    pub(super) namespace: &'a str,
    /// Of the pod and its Service.
    pub(super) name: &'a str,
    /// By which the Service selects it.
    pub(super) labels: Value,
    pub(super) cluster_ip: Option<Ipv4Addr>,
}

/// What kubelet says about a pod that runs.
pub(super) fn running(namespace: &str, name: &str, address: Ipv4Addr, ready: bool) -> Value {
    let status = if ready { "True" } else { "False" };
    let mut pod = reference("v1", "Pod", namespace, name);
    pod["status"] = json!({
        "phase": "Running",
        "podIP": address,
        "podIPs": [{ "ip": address }],
        "conditions": [
            { "type": "Ready", "status": status },
            { "type": "ContainersReady", "status": status },
        ],
    });
    pod
}
