use crate::client;
use crate::output::print;

#[derive(clap::Args)]
#[command(after_help = "\
A canary is a namespace with the label lazymesh.io/enforce-percent.

Examples:
  lazymesh resume shop")]
pub(crate) struct Args {
    /// The namespace, whose canary has failed
    #[arg(value_name = "NAMESPACE")]
    namespace: String,
    #[command(flatten)]
    collector: client::ClientArgs,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let namespace = args.namespace.as_str();
    let client = args.collector.client().await?;
    client.delete(&["v1", "reverts", namespace]).await?;
    print(&format!("The canary of {namespace} is tried again."))
}
