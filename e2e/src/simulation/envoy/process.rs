use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path, process::Stdio, sync::Mutex};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::files::Files;
use crate::{client::Plain, parts, process::Process, wait};

/// A running Envoy. It is killed when dropped.
pub struct Envoy {
    files: Files,
    process: Mutex<Child>,
    id: u32,
    admin: Plain,
    outbound: SocketAddr,
}

impl Envoy {
    /// Starts Envoy on the bootstrap in these files, and waits until it is live.
    ///
    /// # Errors
    /// When it does not start: the message has the end of its log.
    pub async fn start(files: Files, concurrency: u32) -> Result<Self> {
        let mut child = Command::new(parts::envoy()?)
            .arg("--config-path")
            .arg(files.bootstrap())
            .arg("--log-path")
            .arg(files.log())
            .arg("--admin-address-path")
            .arg(files.admin_address())
            .args(["--concurrency", &concurrency.to_string()])
            // Of "main" the information is a list of all extensions.
            .args([
                "--log-level",
                "info",
                "--component-log-level",
                "main:warning,wasm:debug",
            ])
            .args(["--file-flush-interval-msec", "50", "--disable-hot-restart"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let started = async {
            tokio::select! {
                ended = child.wait() => bail!("Envoy ended with {}", ended?),
                live = wait::until("Envoy to be live", async || listening(&files).await) => live,
            }
        };
        let log = || format!("Envoy's log ends with:\n{}", tail(&files.log(), 30));
        let (admin, outbound) = started.await.with_context(log)?;
        Ok(Self {
            id: child.id().context("Envoy has ended")?,
            files,
            process: Mutex::new(child),
            admin,
            outbound,
        })
    }

    /// Address of virtualOutbound.
    #[must_use]
    pub fn outbound(&self) -> SocketAddr {
        self.outbound
    }

    /// The admin interface.
    #[must_use]
    pub fn admin(&self) -> &Plain {
        &self.admin
    }

    /// Counters and gauges whose name matches a regular expression.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn stats(&self, filter: &str) -> Result<BTreeMap<String, u64>> {
        let filter: String = filter.bytes().map(escape).collect();
        let path = format!("/stats?format=json&filter={filter}");
        let stats: Value = self.admin.json(&path).await?;
        let entries = stats["stats"].as_array().into_iter().flatten();
        let named = entries
            .filter_map(|stat| Some((stat["name"].as_str()?.to_owned(), stat["value"].as_u64()?)));
        Ok(named.collect())
    }

    /// One counter or gauge; 0 when Envoy does not have it (yet).
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn stat(&self, name: &str) -> Result<u64> {
        let literal = name.replace('|', r"\|");
        let stats = self.stats(&format!("^{literal}$")).await?;
        Ok(stats.get(name).copied().unwrap_or_default())
    }

    /// One of the filter's own metrics, for example `lazymesh_callouts`.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn filter_metric(&self, name: &str) -> Result<u64> {
        self.stat(&format!("wasmcustom.{name}")).await
    }

    /// Requests that left through this cluster; 0 when Envoy does not have it (yet).
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn requests_through(&self, cluster: &str) -> Result<u64> {
        self.stat(&format!("cluster.{cluster}.upstream_rq_total"))
            .await
    }

    /// The process, to see what it takes.
    #[must_use]
    pub fn process(&self) -> Process {
        Process::new(self.id)
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process
            .lock()
            .is_ok_and(|mut child| matches!(child.try_wait(), Ok(None)))
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.files.log(), lines)
    }
}

async fn listening(files: &Files) -> Result<(Plain, SocketAddr)> {
    let admin = fs::read_to_string(files.admin_address()).context("no admin address yet")?;
    let admin = Plain::new(admin.trim().parse().context("no whole admin address yet")?);
    let ready = admin.text("/ready").await?;
    ensure!(ready.trim() == "LIVE", "Envoy says {ready}");
    let listeners: Value = admin.json("/listeners?format=json").await?;
    let outbound = listeners["listener_statuses"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|listener| listener["name"] == "virtualOutbound")
        .map(|listener| &listener["local_address"]["socket_address"])
        .context("no virtualOutbound")?;
    let port = u16::try_from(outbound["port_value"].as_u64().unwrap_or_default())?;
    let address = outbound["address"].as_str().unwrap_or_default();
    Ok((admin, SocketAddr::new(address.parse()?, port)))
}

/// The last lines of a text file; what went wrong instead, if it cannot be read.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    match fs::read(path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let all: Vec<&str> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        }
        Err(error) => format!("{}: {error}", path.display()),
    }
}

fn escape(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}
