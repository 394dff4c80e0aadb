use std::{
    collections::BTreeMap, fs, net::SocketAddr, path::Path, process::Stdio, sync::Mutex,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::files::Files;
use crate::{client::Plain, parts, wait};

/// A running Envoy. It is killed when dropped.
pub struct Envoy {
    files: Files,
    process: Mutex<Child>,
    id: u32,
    admin: Plain,
    outbound: SocketAddr,
}

/// What an Envoy takes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident, in bytes.
    pub resident: u64,
    /// Private and dirty, in bytes: what one more of it costs a machine. Clean pages are of files, which all sidecars
    /// of a node share and the kernel can drop; whether they count as private depends on who else runs just now.
    pub private: u64,
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

    /// What the process takes now.
    ///
    /// # Errors
    /// When it has ended.
    pub fn memory(&self) -> Result<Memory> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.id))?;
        let sum = |wanted: &[&str]| -> u64 {
            let lines = text.lines().filter_map(|line| line.split_once(':'));
            let kilobytes =
                lines
                    .filter(|(name, _)| wanted.contains(name))
                    .filter_map(|(_, value)| {
                        value.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
                    });
            kilobytes.sum::<u64>() * 1024
        };
        Ok(Memory {
            resident: sum(&["Rss"]),
            private: sum(&["Private_Dirty"]),
        })
    }

    /// Processor time that it has used, all threads together, to 10 ms.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu_time(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id))?;
        // The second field is the program's name, in parentheses; utime and stime are the 14th and 15th.
        let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat")?;
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks = ticks.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(
            ticks * 1_000 / rustix::param::clock_ticks_per_second(),
        ))
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
