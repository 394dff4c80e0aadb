//! Reads server-sent events whose data are JSON.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::Response;
use serde_json::Value;
use tokio::time::timeout;

/// Longest silence: the collector says something every fifteen seconds, if only a comment.
const SILENCE: Duration = Duration::from_secs(60);
/// Longest event, in bytes.
const MAX_EVENT_BYTES: usize = 64 * 1024;

/// The events of a stream.
pub(crate) struct Events {
    response: Response,
    unread: Vec<u8>,
}

impl Events {
    pub(crate) fn new(response: Response) -> Self {
        Self {
            response,
            unread: Vec::new(),
        }
    }

    /// The data of the next event; none when the stream has ended.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        loop {
            if let Some(block) = take_block(&mut self.unread) {
                match data(&block) {
                    Some(data) => return Ok(Some(serde_json::from_str(&data)?)),
                    None => continue,
                }
            }
            if self.unread.len() > MAX_EVENT_BYTES {
                bail!("expected events of at most {MAX_EVENT_BYTES} bytes, got a longer one");
            }
            let chunk = timeout(SILENCE, self.response.chunk()).await;
            match chunk.context("the collector has gone silent")?? {
                Some(chunk) => self.unread.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}

/// Takes what an empty line ends.
fn take_block(unread: &mut Vec<u8>) -> Option<String> {
    let end = unread.windows(2).position(|pair| pair == b"\n\n")? + 2;
    let block: Vec<u8> = unread.drain(..end).collect();
    Some(String::from_utf8_lossy(&block).into_owned())
}

/// The data of an event; none of a comment.
fn data(block: &str) -> Option<String> {
    let lines = block.lines().filter_map(|line| line.strip_prefix("data:"));
    let lines: Vec<_> = lines
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_what_empty_lines_end() {
        let check = |text: &str, expect: &[&str], rest: &str| {
            let mut unread = text.as_bytes().to_vec();
            let blocks: Vec<_> = std::iter::from_fn(|| take_block(&mut unread)).collect();
            let found: Vec<_> = blocks.iter().filter_map(|block| data(block)).collect();
            assert_eq!(found, expect, "{text:?}");
            assert_eq!(unread, rest.as_bytes(), "{text:?}");
        };
        check("", &[], "");
        check(":\n\n", &[], "");
        check("event: a\nid: 1\ndata: {}\n\n", &["{}"], "");
        check("data: 1\n\n:\n\ndata:2\n\ndata: 3", &["1", "2"], "data: 3");
        check("data: [\ndata: ]\n\n", &["[\n]"], "");
    }
}
