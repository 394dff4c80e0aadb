//! `lazymesh uninstall`: everything that lazymesh has put into a cluster, taken out in the right order.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use lazymesh_collector::attach::Uninstall;
use lazymesh_collector::flag::duration;
use lazymesh_collector::kubernetes::ConnectConfig;

#[derive(clap::Args)]
#[command(after_help = "\
First every workload gets its full scope back, then the filter is taken out of the sidecars, then the
collector is stopped. What lazymesh does not own is left alone. What the collector has learned stays in its
store.

Examples:
  lazymesh uninstall
  lazymesh uninstall --context production --revision 1-30")]
pub(crate) struct Args {
    #[command(flatten)]
    connect: ConnectConfig,
    /// Namespace of lazymesh
    #[arg(long, value_name = "NAMESPACE", default_value = "lazymesh-system")]
    namespace: String,
    /// Istio's root namespace
    #[arg(long, value_name = "NAMESPACE", default_value = "istio-system")]
    root_namespace: String,
    /// The collector's Deployment
    #[arg(long, value_name = "NAME", default_value = "lazymesh-collector")]
    deployment: String,
    /// Take out only what is for this revision of the control plane
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    /// How long istiod may take to give sidecars their full scope, as in 15s: it gathers changes for 10 s at
    /// most, then pushes them
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = duration)]
    settle: Duration,
}

pub(crate) fn run(args: Args) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
    runtime.block_on(uninstall(args))
}

async fn uninstall(args: Args) -> Result<()> {
    let client = args.connect.client().await?;
    let what = Uninstall {
        namespace: args.namespace,
        root_namespace: args.root_namespace,
        deployment: args.deployment,
        revision: args.revision.filter(|revision| !revision.is_empty()),
        settle: args.settle,
    };
    let mut out = std::io::stdout();
    let mut said = Ok(());
    what.run(&client, |line| said = writeln!(out, "{line}"))
        .await?;
    writeln!(out, "nothing of lazymesh is left")?;
    Ok(said?)
}
