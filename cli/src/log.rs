use std::io::{self, IsTerminal, Write, stderr};

use anyhow::anyhow;
use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// What is logged, and how. Logs go to standard error.
#[derive(clap::Args)]
#[command(next_help_heading = "Logs")]
pub(crate) struct LogArgs {
    /// Levels by module, as in info or info,lazymesh_collector=debug
    #[arg(long, value_name = "FILTER", default_value = "info", env = "RUST_LOG")]
    log: String,
    /// Form of the logs
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        env = "LAZYMESH_LOG_FORMAT"
    )]
    log_format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

impl LogArgs {
    /// Sends the logs of this process where the arguments say. Once per process.
    pub(crate) fn start(&self) -> anyhow::Result<()> {
        let filter = EnvFilter::builder().parse(&self.log).map_err(|_| {
            anyhow!(
                "--log: expected a list of levels, such as info or debug,hyper=info, got {:?}",
                self.log
            )
        })?;
        let logs = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(|| OneLine(stderr().lock()));
        let started = match self.log_format {
            Format::Text => logs.with_ansi(stderr().is_terminal()).try_init(),
            Format::Json => logs.json().flatten_event(true).try_init(),
        };
        started.map_err(anyhow::Error::from_boxed)
    }
}

/// Keeps each event on its line: what stands in a name or a message forges no other. Of a terminal's escape sequences
/// the subscriber lets through only its own.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    /// Writes an event, which comes as a whole.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let forges = |c: char| c.is_control() && c != '\x1b';
        let mut escaped = String::with_capacity(text.len());
        for c in line.chars() {
            match forges(c) {
                true => escaped.extend(c.escape_default()),
                false => escaped.push(c),
            }
        }
        escaped.push_str(&text[line.len()..]);
        self.0.write_all(escaped.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        for (event, expect) in [
            ("plain\n", "plain\n"),
            ("", ""),
            ("a\nERROR forged\r\n", "a\\nERROR forged\\r\n"),
            ("tab\t and \u{85}\n", "tab\\t and \\u{85}\n"),
            ("\x1b[32m INFO\x1b[0m ü\n", "\x1b[32m INFO\x1b[0m ü\n"),
        ] {
            let mut out = Vec::new();
            OneLine(&mut out)
                .write_all(event.as_bytes())
                .expect("written");
            assert_eq!(String::from_utf8_lossy(&out), expect, "{event:?}");
        }
    }
}
