//! A collector on a disk that may fail.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use lazymesh_e2e::wait;
use serde::Deserialize;

use crate::binaries;
use crate::facts::Facts;
use crate::load;

/// What does not change from one start to the next.
pub(crate) struct Setup {
    dir: tempfile::TempDir,
    http: reqwest::Client,
}

impl Setup {
    pub(crate) fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("mesh"))?;
        fs::write(dir.path().join("mesh/services.yaml"), load::manifests())?;
        Ok(Self {
            dir,
            http: reqwest::Client::new(),
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts a collector and does not wait for it. `under` may put something beneath it.
    pub(crate) fn spawn(
        &self,
        data: &Path,
        under: impl FnOnce(&mut Command),
    ) -> Result<Collector<'_>> {
        let addresses = self.path("addresses.json");
        if addresses.exists() {
            fs::remove_file(&addresses)?;
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))?;
        let mut command = Command::new(binaries::lazymesh()?);
        command
            .args([
                "collector",
                "--ingest",
                "127.0.0.1:0",
                "--admin",
                "127.0.0.1:0",
                "--data-dir",
            ])
            .arg(data)
            .arg("--manifests")
            .arg(self.path("mesh"))
            .arg("--address-file")
            .arg(addresses)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        under(&mut command);
        Ok(Collector {
            setup: self,
            child: command.spawn()?,
        })
    }
}

/// A collector that runs. It is killed when dropped.
pub(crate) struct Collector<'a> {
    setup: &'a Setup,
    child: Child,
}

#[derive(Clone, Copy, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) ingest: SocketAddr,
    admin: SocketAddr,
}

impl Collector<'_> {
    /// Waits until it serves.
    pub(crate) async fn ready(&mut self) -> Result<Addresses> {
        let ready = wait::until("the collector to be ready", async || {
            let addresses = fs::read(self.setup.path("addresses.json"))?;
            let addresses: Addresses = serde_json::from_slice(&addresses)?;
            let url = format!("http://{}/readyz", addresses.admin);
            let status = self.setup.http.get(url).send().await?.status();
            ensure!(status.is_success(), "{status}");
            Ok(addresses)
        });
        let mut exit = async || loop {
            match self.child.try_wait() {
                Ok(None) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                end => break end,
            }
        };
        let outcome = tokio::select! {
            outcome = ready => outcome,
            end = exit() => Err(anyhow::anyhow!("it ended: {end:?}")),
        };
        outcome.with_context(|| self.log())
    }

    /// Everything that it knows.
    pub(crate) async fn facts(&self, addresses: Addresses) -> Result<Facts> {
        let url = format!("http://{}/v1/graph?format=json", addresses.admin);
        let response = self.setup.http.get(url).send().await?.error_for_status()?;
        Facts::of_graph(response.json().await?)
    }

    /// kill -9, however far it has come.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.setup.path("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines.len().saturating_sub(30);
        format!("the log ends with:\n{}", lines[end..].join("\n"))
    }
}

impl Drop for Collector<'_> {
    fn drop(&mut self) {
        // It has ended already in every test that passes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
