use std::fmt::Write as _;

use lazymesh_oci::{Descriptor, Inspection, Location, Memory, Module, inspect};

use crate::oci_registry::{LoginArgs, interruptible};
use crate::output::{OutputArgs, columns};

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
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    login: LoginArgs,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let repository = args.login.open(&args.source).await?;
    let pointer = args.source.pointer();
    let seen = interruptible(inspect(&*repository, &pointer)).await?;
    args.output.print(&seen, || show(&seen))
}

fn show(seen: &Inspection) -> anyhow::Result<String> {
    let module = &seen.module;
    let abi = module
        .abi_version
        .as_deref()
        .unwrap_or("none: this is not a proxy-wasm module");
    let signed = if seen.signed {
        "yes, by whom `lazymesh verify --key` tells"
    } else {
        "no"
    };
    let kind = seen.manifest.artifact_type.as_ref();
    let mut text = format!(
        "Digest:     {}\nArtifact:   {}\nModule:     {} ({} bytes)\nABI:        {}\nMemory:     {}\nSigned:     {signed}\n",
        seen.digest,
        safe(kind.unwrap_or(&seen.manifest.media_type)),
        seen.module_digest,
        module.size,
        safe(abi),
        memories(module),
    );
    for (key, value) in &seen.manifest.annotations {
        writeln!(text, "{}: {}", safe(key), safe(value))?;
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
    writeln!(text, "\nIMPORTS ({})", module.imports.len())?;
    wrap(&mut text, &module.imports)?;
    writeln!(text, "\nEXPORTS ({})", module.exports.len())?;
    wrap(&mut text, &module.exports)?;
    Ok(text)
}

/// What anybody may have written, fit for a terminal.
fn safe(text: &str) -> String {
    text.escape_debug().to_string()
}

/// Names, as many in a line as fit.
fn wrap(text: &mut String, names: &[String]) -> std::fmt::Result {
    const WIDTH: usize = 100;
    let mut line = String::new();
    for name in names.iter().map(|name| safe(name)) {
        if !line.is_empty() && line.len() + name.len() + 2 > WIDTH {
            writeln!(text, "{line}")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push_str("  ");
        }
        line.push_str(&name);
    }
    writeln!(text, "{line}")
}

fn memories(module: &Module) -> String {
    let memories: Vec<_> = module.memories.iter().map(memory).collect();
    memories.join("; ")
}

fn memory(memory: &Memory) -> String {
    let most = memory.maximum_bytes.map_or_else(
        || "no limit of its own".to_owned(),
        |bytes| format!("at most {}", size(bytes)),
    );
    format!("{}, {most}", size(memory.initial_bytes))
}

/// Memory comes in pages of 64 KiB.
fn size(bytes: u64) -> String {
    match (bytes / 1024, bytes % (1 << 20)) {
        (kib, 0) => format!("{} MiB", kib / 1024),
        (kib, _) => format!("{kib} KiB"),
    }
}

fn row(item: &Descriptor) -> [String; 3] {
    let kind = item.artifact_type.as_ref().unwrap_or(&item.media_type);
    [safe(kind), item.size.to_string(), item.digest.to_string()]
}
