use serde::Serialize;

use crate::client::ClientArgs;
use crate::output::OutputArgs;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lazymesh version
  lazymesh version --client -o json")]
pub(crate) struct Args {
    /// Only the version of this command
    #[arg(long)]
    client: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    collector: ClientArgs,
}

#[derive(Serialize)]
struct Versions {
    client: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    collector: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let asked = match args.client {
        true => Ok(None),
        false => async { args.collector.open()?.version().await.map(Some) }.await,
    };
    let (collector, failure) = match asked {
        Ok(collector) => (collector, None),
        Err(error) => (None, Some(error)),
    };
    let versions = Versions {
        client: env!("CARGO_PKG_VERSION"),
        collector,
    };
    args.output.print(&versions, || {
        let collector = versions.collector.iter();
        let collector = collector.map(|it| format!("\nCollector:  {it}"));
        Ok(format!(
            "Client:     {}{}",
            versions.client,
            collector.collect::<String>()
        ))
    })?;
    failure.map_or(Ok(()), Err)
}
