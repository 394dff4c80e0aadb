//! A collector outside the lab's network, as `lazymesh collector --kubernetes`.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use lazymesh_e2e::{
    lab::{Lab, reference},
    parts, wait,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The flags of a collector that attaches a module which nobody fetches.
pub(crate) const ATTACH: [&str; 4] = [
    "--attach",
    "oci://registry.example/lazymesh/filter:test",
    "--istio",
    "1.31",
];

/// A running collector; it ends with this.
pub(crate) struct Collector {
    child: Child,
    folder: TempDir,
    admin: SocketAddr,
    ingest: SocketAddr,
}

impl Collector {
    /// Starts one with every right that waits for no filter, for there is none, and waits until it is ready.
    pub(crate) async fn start(lab: &Lab, flags: &[&str]) -> Result<Self> {
        lab.namespace(lazymesh_e2e::lab::LAZYMESH_NAMESPACE, &[])
            .await?;
        let flags = [&["--enforce-unheard"], flags].concat();
        Self::start_as(&lab.kubeconfig(), &flags).await
    }

    /// Starts one with the rights of a kubeconfig.
    pub(crate) async fn start_as(kubeconfig: &Path, flags: &[&str]) -> Result<Self> {
        let collector = Self::spawn(kubeconfig, flags).await?;
        wait::until("the collector to be ready", async || {
            let ready = reqwest::get(collector.url("/readyz")).await?;
            ensure!(ready.status().is_success(), "{}", ready.text().await?);
            Ok(())
        })
        .await
        .with_context(|| collector.log())?;
        Ok(collector)
    }

    /// As [`Collector::start_as`], but waits only until it listens.
    pub(crate) async fn spawn(kubeconfig: &Path, flags: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // No sidecar has to follow.
        let settle: &[&str] = if flags.contains(&"--settle") {
            &[]
        } else {
            &["--settle", "0s"]
        };
        let log = File::create(folder.path().join("log"))?;
        let child = Command::new(parts::lazymesh()?)
            .args([
                "collector",
                "--kubernetes",
                "--ingest",
                "127.0.0.1:0",
                "--admin",
                "127.0.0.1:0",
            ])
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .arg("--data-dir")
            .arg(folder.path().join("data"))
            .arg("--address-file")
            .arg(folder.path().join("addresses"))
            .args(settle)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start lazymesh")?;
        let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut collector = Self {
            child,
            folder,
            admin: nobody,
            ingest: nobody,
        };
        let listens = collector.until_it_listens().await;
        listens.with_context(|| collector.log())?;
        Ok(collector)
    }

    async fn until_it_listens(&mut self) -> Result<()> {
        let file = self.folder.path().join("addresses");
        let addresses = wait::until("the collector's addresses", async || {
            let addresses: Value = serde_json::from_slice(&fs::read(&file)?)?;
            Ok(addresses)
        });
        let addresses = addresses.await?;
        let address = |name: &str| -> Result<SocketAddr> {
            Ok(addresses[name].as_str().context("no address")?.parse()?)
        };
        (self.admin, self.ingest) = (address("admin")?, address("ingest")?);
        Ok(())
    }

    /// An address of its admin port.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin)
    }

    /// An answer of its admin port.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        Ok(reqwest::get(self.url(path)).await?.json().await?)
    }

    /// Says what the filter of a workload says when it is there.
    pub(crate) async fn greet(&self, namespace: &str, workload: &str) -> Result<()> {
        self.report(namespace, workload, json!([])).await
    }

    /// Says what the filter of a workload has counted.
    pub(crate) async fn report(
        &self,
        namespace: &str,
        workload: &str,
        reports: Value,
    ) -> Result<()> {
        let source = json!({ "namespace": namespace, "workload": workload });
        self.tell(&json!({ "source": source, "reports": reports }))
            .await
    }

    /// Says that so many requests that the filter of a workload held have timed out.
    pub(crate) async fn time_out(&self, namespace: &str, workload: &str, holds: u64) -> Result<()> {
        let source = json!({ "namespace": namespace, "workload": workload });
        let trouble = json!({ "protocol": "http", "hold_timeouts": holds });
        self.tell(&json!({ "source": source, "reports": [], "trouble": trouble }))
            .await
    }

    async fn tell(&self, reports: &Value) -> Result<()> {
        let url = format!("http://{}/v1/reports", self.ingest);
        let call = reqwest::Client::new().post(url).json(reports);
        call.send().await?.error_for_status()?;
        Ok(())
    }

    /// Asks what the filter of a workload asks about a host that it does not know.
    pub(crate) async fn resolve(
        &self,
        namespace: &str,
        workload: &str,
        authority: &str,
    ) -> Result<Value> {
        let question = json!({
            "source": { "namespace": namespace, "workload": workload },
            "authority": authority,
            "protocol": "http",
        });
        let url = format!("http://{}/v1/resolve", self.ingest);
        let call = reqwest::Client::new().post(url).json(&question);
        Ok(call.send().await?.error_for_status()?.json().await?)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Collector {
    /// Ends it as Kubernetes does, so that the next one need not wait until its Lease has expired.
    #[expect(clippy::disallowed_methods, reason = "a drop cannot await")]
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let end = Instant::now() + wait::PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is stored of a Sidecar.
pub(crate) async fn sidecar(lab: &Lab, namespace: &str, name: &str) -> Result<Option<Value>> {
    let sidecar = reference("networking.istio.io/v1", "Sidecar", namespace, name);
    Ok(lab
        .cluster()
        .find(&sidecar)
        .await?
        .map(|found| json!(found)))
}

/// Waits until a Sidecar is there.
pub(crate) async fn until_sidecar(lab: &Lab, namespace: &str, name: &str) -> Result<Value> {
    let found = async || {
        sidecar(lab, namespace, name)
            .await?
            .with_context(|| format!("no Sidecar {name}"))
    };
    wait::until(&format!("Sidecar {name}"), found).await
}

/// Waits until a Sidecar is gone.
pub(crate) async fn until_gone(lab: &Lab, namespace: &str, name: &str) -> Result<()> {
    let gone = async || {
        ensure!(
            sidecar(lab, namespace, name).await?.is_none(),
            "it is still there"
        );
        Ok(())
    };
    wait::until(&format!("Sidecar {name} to go"), gone).await
}

/// Labels a namespace, or takes the label away.
pub(crate) async fn set_mode(lab: &Lab, namespace: &str, mode: Option<&str>) -> Result<()> {
    let labels = mode.map(|mode| ("lazymesh.io/mode", mode));
    label(lab, namespace, labels.as_slice()).await
}

/// Gives a namespace these labels of lazymesh's, and takes others away.
pub(crate) async fn label(lab: &Lab, namespace: &str, labels: &[(&str, &str)]) -> Result<()> {
    let mut object = reference("v1", "Namespace", "", namespace);
    object["metadata"] = json!({ "name": namespace, "labels": {} });
    for (name, value) in labels {
        object["metadata"]["labels"][name] = json!(value);
    }
    lab.cluster().apply_object(&object).await.map(drop)
}

/// A pod that no machine runs; its workload has its name unless its labels say other.
pub(crate) async fn pod(lab: &Lab, namespace: &str, name: &str, labels: Value) -> Result<Value> {
    let mut pod = reference("v1", "Pod", namespace, name);
    pod["metadata"]["labels"] = json!({ "service.istio.io/canonical-name": name });
    for (label, value) in labels.as_object().into_iter().flatten() {
        pod["metadata"]["labels"][label] = value.clone();
    }
    pod["spec"] = json!({ "containers": [{ "name": "app", "image": "app" }] });
    lab.cluster().apply_object(&pod).await?;
    Ok(pod)
}

/// The file of this repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
