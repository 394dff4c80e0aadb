use lazymesh_core::Workload;

use crate::client;
use crate::output::print;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lazymesh forget shop/web")]
pub(crate) struct Args {
    /// The workload; it learns anew when it calls
    #[arg(value_name = "NAMESPACE/NAME")]
    workload: Workload,
    #[command(flatten)]
    collector: client::ClientArgs,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let Workload { namespace, name } = &args.workload;
    let client = args.collector.client().await?;
    client.delete(&["v1", "workloads", namespace, name]).await?;
    print(&format!("Nothing is known of {namespace}/{name} any more."))
}
