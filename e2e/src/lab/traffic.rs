//! Requests without end, to see whether something that is done meanwhile costs any of them.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};

use super::{app::PROGRAM, entrance::Entrance};

/// What became of the requests.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Requests that were sent.
    pub sent: u64,
    /// Those of them that had another answer than 200, or none.
    pub failed: u64,
    /// The first few failures.
    pub failures: Vec<String>,
}

/// Requests that are being sent. They end with this value.
pub struct Traffic {
    client: Child,
}

impl Traffic {
    pub(super) fn start(entrance: &Entrance, urls: &[&str], every: Duration) -> Result<Self> {
        let mut client = Command::from(entrance.sandbox.command(PROGRAM));
        client
            .args(["load", "--every", &every.as_millis().to_string()])
            .args(urls)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let client = client.spawn().context("cannot start the client")?;
        Ok(Self { client })
    }

    /// Stops, and waits for the answers that are due.
    ///
    /// # Errors
    /// When the client failed itself.
    pub async fn stop(mut self) -> Result<Tally> {
        // The end of its input is the client's sign to stop.
        drop(self.client.stdin.take());
        let output = self.client.wait_with_output().await?;
        ensure!(
            output.status.success(),
            "the client failed ({})",
            output.status
        );
        serde_json::from_slice(&output.stdout).context("not a tally of the client")
    }
}
