use anyhow::{Context, anyhow, bail};
use clap::ValueEnum;
use lazymesh_core::Workload;
use serde_json::Value;

use crate::client::{self, Client};
use crate::output::print;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lazymesh sidecar shop/web
  lazymesh sidecar shop/lazymesh-default
  lazymesh sidecar shop/web | kubectl diff -f -")]
pub(crate) struct Args {
    /// The workload, or the Sidecar by its own name
    #[arg(value_name = "NAMESPACE/NAME")]
    name: Workload,
    /// Form of the answer
    #[arg(short, long, value_name = "FORM", default_value = "yaml")]
    output: Form,
    #[command(flatten)]
    collector: client::ClientArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// As it is published
    Yaml,
    /// The same as JSON
    Json,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.collector.client().await?;
    let name = if args.name.name.starts_with("lazymesh-") {
        args.name.name.clone()
    } else {
        name_of(&client, &args.name).await?
    };
    let yaml = client
        .text(&["v1", "sidecars", &args.name.namespace, &name], &[])
        .await?;
    match args.output {
        Form::Yaml => print(&yaml),
        Form::Json => {
            let published: Vec<Value> = serde_saphyr::from_multiple(&yaml)
                .map_err(|_| anyhow!("the Sidecar is not YAML"))?;
            let published = published.first().context("there is no Sidecar")?;
            print(&serde_json::to_string_pretty(published)?)
        }
    }
}

/// Name of the Sidecar that lazymesh publishes for a workload.
async fn name_of(client: &Client, workload: &Workload) -> anyhow::Result<String> {
    let detail = client
        .json(&["v1", "workloads", &workload.namespace, &workload.name])
        .await?;
    let sidecar = &detail["sidecar"];
    let name = sidecar["name"].as_str().unwrap_or_default();
    match sidecar["state"].as_str() {
        Some("managed") => Ok(name.to_owned()),
        _ => {
            let detail = sidecar["detail"].as_str().unwrap_or_default();
            bail!("lazymesh publishes no Sidecar for {workload}: {detail}")
        }
    }
}
