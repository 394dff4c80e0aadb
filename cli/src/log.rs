use std::io::{IsTerminal, stderr};

use anyhow::Context;
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
        let filter = EnvFilter::builder().parse(&self.log).with_context(|| {
            format!(
                "--log: expected a list of levels, such as info or debug,hyper=info, got {:?}",
                self.log
            )
        })?;
        let logs = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(stderr);
        let started = match self.log_format {
            Format::Text => logs.with_ansi(stderr().is_terminal()).try_init(),
            Format::Json => logs.json().flatten_event(true).try_init(),
        };
        started.map_err(anyhow::Error::from_boxed)
    }
}
