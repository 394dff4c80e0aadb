//! `lazymesh bug-report`: what somebody needs to know who is to find a fault, and nothing secret.

use anyhow::Result;
use serde::Serialize;
use serde_json::{Value, json};

use crate::check::{self, ClusterArgs};
use crate::client::{Client, ClientArgs};
use crate::output::OutputArgs;
use crate::status::Status;

#[derive(clap::Args)]
#[command(after_help = "\
One document: versions, what `lazymesh check`, `status`, `plan` and `always-visible` say, and the collector's
metrics. It names namespaces, workloads and hosts, so read it before you pass it on; tokens and Secrets are not
in it. Add the collector's log: kubectl --namespace lazymesh-system logs deployment/lazymesh-collector

Examples:
  lazymesh bug-report > report.yaml")]
pub(crate) struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    collector: ClientArgs,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> Result<()> {
    let (cluster, _) = args.cluster.look(false).await;
    let mut report = json!({
        "client": env!("CARGO_PKG_VERSION"),
        "cluster": cluster,
        "collector": check::collector(&args.collector).await,
    });
    match args.collector.open() {
        Ok(client) => {
            report["status"] = told(Status::of(&client).await);
            report["plan"] = told(client.list(&["v1", "plan"], &[]).await);
            report["always_visible"] = told(client.list(&["v1", "always-visible"], &[]).await);
            report["metrics"] = told(metrics(&client).await);
        }
        Err(error) => report["status"] = json!({ "error": format!("{error:#}") }),
    }
    let yaml = || Ok(serde_saphyr::to_string(&report)?);
    args.output.print(&report, yaml)
}

async fn metrics(client: &Client) -> Result<Vec<String>> {
    let text = client.text(&["metrics"], &[]).await?;
    let values = text.lines().filter(|line| !line.starts_with('#'));
    Ok(values.map(str::to_owned).collect())
}

/// An answer, or why there is none: a report is of most use where something does not work.
fn told<T: Serialize>(answer: Result<T>) -> Value {
    let answer = answer.and_then(|it| Ok(serde_json::to_value(it)?));
    answer.unwrap_or_else(|error| json!({ "error": format!("{error:#}") }))
}
