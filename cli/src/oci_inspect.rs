use std::fmt::Write as _;

use lazymesh_oci::{Descriptor, Inspection, Location, Memory, inspect};

use crate::oci_registry::{LoginArgs, RegistryArgs};
use crate::output::{Output, columns};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lazymesh inspect registry.example/lazymesh/filter:0.1.0
  lazymesh inspect oci-layout:out:0.1.0 -o json | jq .module.imports")]
pub(crate) struct Args {
    #[arg(
        help = "What to look at: HOST/NAME[:TAG][@DIGEST], or oci-layout:DIR[:TAG][@DIGEST]",
        value_name = "REF"
    )]
    source: Location,
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
    let seen = inspect(&*repository, &args.source.pointer()).await?;
    args.output.print(&seen, || show(&seen))
}

fn show(seen: &Inspection) -> anyhow::Result<String> {
    let module = &seen.module;
    let abi = module
        .abi_version
        .as_deref()
        .unwrap_or("none: this is no proxy-wasm module");
    let signed = if seen.signed {
        "yes, by whom `lazymesh verify --key` tells"
    } else {
        "no"
    };
    let mut text = format!(
        "Digest:     {}\nModule:     {} ({} bytes)\nABI:        {abi}\nMemory:     {}\nImports:    {}\nExports:    {}\nSigned:     {signed}\n",
        seen.digest,
        seen.module_digest,
        module.size,
        module
            .memories
            .iter()
            .map(memory)
            .collect::<Vec<_>>()
            .join(", "),
        module.imports.len(),
        module.exports.len(),
    );
    for (key, value) in &seen.manifest.annotations {
        // Anybody may have written this: it goes to a terminal.
        writeln!(text, "{key}: {}", value.escape_debug())?;
    }
    let layers = seen.manifest.layers.iter().map(row);
    writeln!(text, "\n{}", columns(["LAYER", "SIZE", "DIGEST"], layers))?;
    if !seen.referrers.is_empty() {
        let referrers = seen.referrers.iter().map(row);
        writeln!(
            text,
            "\n{}",
            columns(["REFERRER", "SIZE", "DIGEST"], referrers)
        )?;
    }
    Ok(text)
}

fn memory(memory: &Memory) -> String {
    let kib = |bytes: u64| format!("{} KiB", bytes / 1024);
    let most = memory.maximum_bytes.map_or_else(
        || "no limit of its own".to_owned(),
        |bytes| format!("at most {}", kib(bytes)),
    );
    format!("{}, {most}", kib(memory.initial_bytes))
}

fn row(item: &Descriptor) -> [String; 3] {
    let kind = item.artifact_type.as_ref().unwrap_or(&item.media_type);
    [
        kind.escape_debug().to_string(),
        item.size.to_string(),
        item.digest.to_string(),
    ]
}
