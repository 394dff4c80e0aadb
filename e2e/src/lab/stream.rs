//! A gRPC stream that stays open, to see whether something that is done meanwhile ends it.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use super::{
    app::{PROGRAM, Reply},
    entrance::Entrance,
};
use crate::wait::PATIENCE;

/// A stream of a server's messages. It ends with this value.
pub struct Stream {
    client: Child,
    messages: Lines<BufReader<ChildStdout>>,
}

impl Stream {
    pub(super) fn open(entrance: &Entrance, origin: &str) -> Result<Self> {
        let mut client = Command::from(entrance.sandbox.command(PROGRAM));
        client
            .args(["grpc", "--stream", origin])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut client = client.spawn().context("cannot start the client")?;
        let messages = client.stdout.take().context("a client without output")?;
        Ok(Self {
            client,
            messages: BufReader::new(messages).lines(),
        })
    }

    /// Waits for the next message; gives the answer that it is a part of.
    ///
    /// # Errors
    /// When the stream has ended, or nothing comes.
    pub async fn next(&mut self) -> Result<Reply> {
        let line = timeout(PATIENCE, self.messages.next_line())
            .await
            .context("no message")??;
        let line = line.context("the stream has ended; the client has said why")?;
        serde_json::from_str(&line).context("not an answer of the client")
    }

    /// Ends it.
    ///
    /// # Errors
    /// When it had ended already.
    pub async fn close(mut self) -> Result<()> {
        // The end of its input is the client's sign to stop.
        drop(self.client.stdin.take());
        let status = self.client.wait().await?;
        ensure!(status.success(), "the client failed ({status})");
        Ok(())
    }
}
