use serde::Deserialize;
use serde_json::Value;

use crate::client;
use crate::output::{OutputArgs, columns};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lazymesh always-visible
  lazymesh always-visible -o json | jq -r '.[].host'")]
pub(crate) struct Args {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    collector: client::ClientArgs,
}

#[derive(Deserialize)]
struct Item {
    host: String,
    detail: String,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.collector.client().await?;
    let items = client.list(&["v1", "always-visible"], &[]).await?;
    args.output.print(&items, || table(&items))
}

fn table(items: &[Value]) -> anyhow::Result<String> {
    let items = items.iter().map(Item::deserialize);
    let items = items.collect::<Result<Vec<_>, _>>()?;
    let rows = items.into_iter().map(|item| [item.host, item.detail]);
    Ok(columns(["HOST", "STAYS BECAUSE"], rows))
}
