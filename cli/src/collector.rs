use anyhow::Context;
use lazymesh_collector::{Config, Server};
use tokio::signal::unix::{SignalKind, signal};

use crate::log;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  Read a mesh from manifests, publish Sidecars beside it:
    lazymesh collector --data-dir data --manifests mesh/ --publish-dir sidecars/

  Only learn and plan, with logs for a log collector:
    lazymesh collector --data-dir data --manifests mesh/ --log-format json

  Behind an Istio sidecar, where filters of a whole mesh call:
    lazymesh collector --data-dir /var/lib/lazymesh --manifests /etc/mesh \\
      --ingest 0.0.0.0:8480 --ingest-identity xfcc \\
      --spiffe-id spiffe://cluster.local/ns/lazymesh-system/sa/lazymesh-collector \\
      --admin 0.0.0.0:8481 --admin-token-file /var/run/secrets/lazymesh/token")]
pub(crate) struct Args {
    #[command(flatten)]
    config: Config,
    #[command(flatten)]
    log: log::LogArgs,
}

pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    args.log.start()?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
    runtime.block_on(serve(args.config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    // Before anything else, so that a signal during a long start is not lost.
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let server = Server::start(config).await?;
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(server.run(shutdown).await?)
}
