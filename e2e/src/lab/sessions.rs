//! Has sessions with servers by the drivers that applications use, to see what becomes of their connections.

use std::{collections::BTreeMap, process::Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::entrance::{Entrance, PROGRAMS};

/// What became of the sessions with one server.
#[derive(Clone, Debug, Deserialize)]
pub struct Outcome {
    /// Those that work.
    pub ok: usize,
    /// Why others do not.
    pub failures: Vec<String>,
    /// The longest that one took, in milliseconds.
    pub slowest_ms: f64,
}

/// Outcomes by the name of the server.
pub type Outcomes = BTreeMap<String, Outcome>;

/// Sessions that a pod has. They end with this value.
pub struct Sessions {
    input: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _drivers: Child,
}

impl Sessions {
    pub(super) fn start(entrance: &Entrance, urls: &[String]) -> Result<Self> {
        let program = format!("{PROGRAMS}/bin/tcp-clients");
        let mut drivers = Command::from(entrance.sandbox.command(program));
        drivers
            .args(urls)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut drivers = drivers.spawn().context("cannot start the drivers")?;
        let answers = drivers.stdout.take().context("drivers without output")?;
        Ok(Self {
            input: drivers.stdin.take().context("drivers without input")?,
            answers: BufReader::new(answers).lines(),
            _drivers: drivers,
        })
    }

    /// Opens so many more with each server at once, and uses each.
    ///
    /// # Errors
    /// When the drivers themselves fail.
    pub async fn open(&mut self, count: usize) -> Result<Outcomes> {
        self.order(&format!("open {count}")).await
    }

    /// Uses all that are open.
    ///
    /// # Errors
    /// As [`Sessions::open`].
    pub async fn use_all(&mut self) -> Result<Outcomes> {
        self.order("use").await
    }

    /// Closes all.
    ///
    /// # Errors
    /// As [`Sessions::open`].
    pub async fn close(&mut self) -> Result<()> {
        self.order("close").await.map(drop)
    }

    async fn order(&mut self, order: &str) -> Result<Outcomes> {
        self.input
            .write_all(format!("{order}\n").as_bytes())
            .await?;
        let line = self.answers.next_line().await?;
        let line = line.context("the drivers have ended; they have said why")?;
        let outcomes: Outcomes = serde_json::from_str(&line).context(line)?;
        ensure!(!outcomes.is_empty(), "no servers");
        Ok(outcomes)
    }
}
