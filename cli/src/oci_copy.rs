use lazymesh_oci::{Location, copy};

use crate::oci_registry::{LoginArgs, interruptible};
use crate::output::OutputArgs;

#[derive(clap::Args)]
#[command(after_help = "\
Bills of materials, provenance and signatures come along. Between two registries, credentials are those that docker keeps \
for either.

Examples:
  lazymesh copy registry.example/lazymesh/filter:0.1.0 oci-layout:usb:0.1.0
  lazymesh copy oci-layout:usb:0.1.0 registry.internal/lazymesh/filter:0.1.0")]
pub(crate) struct Args {
    #[arg(
        help = "Where from: HOST/NAME[:TAG][@DIGEST], or oci-layout:DIR[:TAG][@DIGEST]",
        value_name = "SRC"
    )]
    source: Location,
    #[arg(
        help = "Where to: HOST/NAME[:TAG], or oci-layout:DIR[:TAG]",
        value_name = "DST"
    )]
    target: Location,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    login: LoginArgs,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let [source, target] = args.login.open_both(&args.source, &args.target).await?;
    let (from, to) = (args.source.pointer(), args.target.pointer());
    let copied = interruptible(copy(&*source, &from, &*target, &to)).await?;
    args.output.print(&copied, || {
        let mut text = format!(
            "digest: {}\ncompanions: {}\nuploads: {}\n",
            copied.digest, copied.companions, copied.uploads
        );
        if let Some(url) = args.target.plugin_url(&copied.digest) {
            text.push_str(&format!("url: {url}\n"));
        }
        Ok(text)
    })
}
