//! The real collector, as a process of its own, so that it can be killed.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Stdio,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tokio::process::{Child, Command};

use crate::{client::Plain, parts, process::Process, simulation::envoy, wait};

/// How a collector is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens.
    pub address: Ipv4Addr,
    /// Manifests that it reads.
    pub manifests: PathBuf,
    /// Sidecars that it writes.
    pub sidecars: PathBuf,
    /// Its store.
    pub store: PathBuf,
    /// Its log.
    pub log: PathBuf,
    /// `namespace/host` entries that every Sidecar has.
    pub always: Vec<String>,
    /// Further flags. Without `--settle` among them scopes change in one step.
    pub flags: Vec<String>,
    /// Where it writes its number to be in a control group, if it is to be in one.
    pub cgroup: Option<PathBuf>,
}

impl Options {
    /// Where filters ask.
    #[must_use]
    pub fn ingest(&self) -> SocketAddr {
        (self.address, 8480).into()
    }

    /// Where people ask.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        (self.address, 8481).into()
    }
}

/// A collector that runs, or that was killed. It is killed when dropped.
pub struct Collector {
    options: Options,
    child: Option<Child>,
    admin: Plain,
}

impl Collector {
    /// Starts it, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready: the message has the end of its log.
    pub async fn start(options: Options) -> Result<Self> {
        let mut collector = Self {
            admin: Plain::new(options.admin()),
            options,
            child: None,
        };
        collector.restart().await?;
        Ok(collector)
    }

    /// Starts it again, on the same addresses and the same store.
    ///
    /// # Errors
    /// As [`Collector::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.kill().await?;
        let mut child = self.options.command()?.spawn()?;
        let ready = async {
            tokio::select! {
                ended = child.wait() => bail!("it ended with {}", ended?),
                ready = wait::until("/readyz", async || self.admin.text("/readyz").await) => ready,
            }
        };
        let log = || {
            format!(
                "the collector's log ends with:\n{}",
                envoy::tail(&self.options.log, 30)
            )
        };
        ready.await.with_context(log)?;
        self.child = Some(child);
        Ok(())
    }

    /// kill -9.
    ///
    /// # Errors
    /// When the process cannot be killed.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// The process, while it runs.
    #[must_use]
    pub fn process(&self) -> Option<Process> {
        self.child.as_ref()?.id().map(Process::new)
    }

    /// Egress hosts that it has learned for a workload, as `namespace/host`.
    ///
    /// # Errors
    /// When it does not answer, or does not know the workload.
    pub async fn dependencies(&self, namespace: &str, workload: &str) -> Result<Vec<String>> {
        let path = format!("/v1/workloads/{namespace}/{workload}/dependencies");
        Ok(self.admin.json::<Page>(&path).await?.hosts())
    }

    /// Hosts outside the mesh that it has recorded, of all workloads.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn external_hosts(&self) -> Result<Vec<String>> {
        Ok(self.admin.json::<Page>("/v1/external-hosts").await?.hosts())
    }

    /// Its REST interface for people.
    #[must_use]
    pub fn admin(&self) -> &Plain {
        &self.admin
    }
}

/// What the harness reads of a list.
#[derive(Deserialize)]
struct Page {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    host: String,
}

impl Page {
    fn hosts(self) -> Vec<String> {
        self.items.into_iter().map(|item| item.host).collect()
    }
}

impl Options {
    fn command(&self) -> Result<Command> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let lazymesh = parts::lazymesh()?;
        let mut command = match &self.cgroup {
            None => Command::new(lazymesh),
            Some(processes) => {
                let mut shell = Command::new("sh");
                let enter = r#"echo $$ > "$0" && exec "$@""#;
                shell.args(["-c", enter]).arg(processes).arg(lazymesh);
                shell
            }
        };
        command
            .arg("collector")
            .arg("--ingest")
            .arg(self.ingest().to_string())
            .arg("--admin")
            .arg(self.admin().to_string())
            .arg("--manifests")
            .arg(&self.manifests)
            .arg("--publish-dir")
            .arg(&self.sidecars)
            .arg("--data-dir")
            .arg(&self.store)
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        if !self.flags.iter().any(|flag| flag.starts_with("--settle")) {
            command.args(["--settle", "0s"]);
        }
        for host in &self.always {
            command.arg("--always-visible").arg(host);
        }
        Ok(command)
    }
}
