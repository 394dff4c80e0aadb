use std::path::PathBuf;

use lazymesh_oci::{Location, pull};

use crate::oci_registry::{Bar, LoginArgs, RegistryArgs, interruptible};
use crate::output::Output;

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
    /// Form of the answer
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Output,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    login: LoginArgs,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let repository = args.registry.open_by(&args.source, &args.login).await?;
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
