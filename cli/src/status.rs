use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::client::{Check, Client, ClientArgs};
use crate::output::OutputArgs;

/// What is counted of a collector, with the name of its metric.
const COUNTS: [(&str, &str); 6] = [
    ("Workloads", "workloads"),
    ("Dependencies", "dependencies"),
    ("External hosts", "external_hosts"),
    ("Services", "services"),
    ("Without filter", "namespaces_waiting"),
    ("Sidecars waiting", "publish_waiting"),
];

#[derive(clap::Args)]
#[command(after_help = "\
The exit status is 1 if the collector is not ready.

Examples:
  lazymesh status
  lazymesh status -o json | jq .counts")]
pub(crate) struct Args {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    collector: ClientArgs,
}

/// How a collector is.
#[derive(Serialize)]
pub(crate) struct Status {
    version: String,
    ready: bool,
    checks: Vec<Check>,
    counts: BTreeMap<&'static str, f64>,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let status = Status::of(&args.collector.open()?).await?;
    args.output.print(&status, || show(&status))?;
    anyhow::ensure!(status.ready, "the collector is not ready");
    Ok(())
}

impl Status {
    pub(crate) async fn of(client: &Client) -> anyhow::Result<Self> {
        let ready = client.readyz().await?;
        let metrics = client.metrics().await?;
        let counts = COUNTS.iter().map(|(_, metric)| *metric);
        let counts = counts.filter_map(|it| Some((it, *metrics.get(it)?)));
        Ok(Self {
            version: client.version().await?,
            ready: ready.detail.is_none(),
            checks: ready.checks,
            counts: counts.collect(),
        })
    }
}

fn show(status: &Status) -> anyhow::Result<String> {
    let mut text = format!("{:<18}{}\n", "Version:", status.version);
    for check in &status.checks {
        let name = format!("{}:", check.name);
        let state = match (check.ok, &check.detail) {
            (true, _) => "ok",
            (false, Some(detail)) => detail,
            (false, None) => "not ok",
        };
        writeln!(text, "{name:<18}{state}")?;
    }
    for (name, metric) in COUNTS {
        if let Some(count) = status.counts.get(metric) {
            writeln!(text, "{:<18}{count}", format!("{name}:"))?;
        }
    }
    Ok(text)
}
