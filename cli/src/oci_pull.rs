use std::path::PathBuf;

use lazymesh_oci::{Location, pull};

use crate::oci_registry::{Bar, LoginArgs, interruptible};
use crate::output::OutputArgs;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lazymesh pull registry.example/lazymesh/filter:0.1.0
  lazymesh pull oci-layout:out:0.1.0 --file /tmp/filter.wasm")]
pub(crate) struct Args {
    #[arg(
        help = "Where from: HOST/NAME[:TAG][@DIGEST], or oci-layout:DIR[:TAG][@DIGEST]",
        value_name = "REF"
    )]
    source: Location,
    /// Where to put the module; it appears when all of it is there and verified
    #[arg(long, value_name = "FILE", default_value = "filter.wasm")]
    file: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    login: LoginArgs,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let repository = args.login.open(&args.source).await?;
    let bar = Bar::new();
    let show = |blob: &_, done| bar.show(blob, done);
    let pointer = args.source.pointer();
    let pulled = interruptible(pull(&*repository, &pointer, &args.file, &show)).await?;
    drop(bar);
    args.output.print(&pulled, || {
        let (path, size) = (pulled.path.display(), pulled.size);
        Ok(format!(
            "file: {path} ({size} bytes)\ndigest: {}\nmodule: {}",
            pulled.digest, pulled.module_digest
        ))
    })
}
