use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use lazymesh_oci::{Digest, Expectations, Location, PublicKey, Verified, verify};

use crate::file;
use crate::oci_registry::LoginArgs;
use crate::output::OutputArgs;

#[derive(clap::Args)]
#[command(after_help = "\
The digests of all parts are checked in any case. Exit status 0 means that everything asked for holds.

Examples:
  lazymesh verify registry.example/lazymesh/filter:0.1.0 --key cosign.pub --sbom --provenance
  lazymesh verify registry.example/lazymesh/filter:0.1.0 --digest sha256:6b4bee…
  lazymesh verify registry.example/lazymesh/collector:0.1.0 --image --key cosign.pub")]
pub(crate) struct Args {
    #[arg(
        help = "What to verify: HOST/NAME[:TAG][@DIGEST], or oci-layout:DIR[:TAG][@DIGEST]",
        value_name = "REF"
    )]
    source: Location,
    /// It is a container image: no module in it, and documents name its manifest
    #[arg(long)]
    image: bool,
    /// Digest that the manifest must have
    #[arg(long, value_name = "SHA256")]
    digest: Option<Digest>,
    /// Public key (PEM) that must have signed it, with cosign, `lazymesh push --sign-key` or `lazymesh sign`
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Insist on a bill of materials that names the module by its SHA-256; with --key, one signed by it
    #[arg(long)]
    sbom: bool,
    /// Insist on a provenance statement, likewise
    #[arg(long)]
    provenance: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    login: LoginArgs,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let expectations = Expectations {
        image: args.image,
        digest: args.digest,
        key: args.key.as_deref().map(read_key).transpose()?,
        sbom: args.sbom,
        provenance: args.provenance,
    };
    let repository = args.login.open(&args.source).await?;
    let verified = verify(&*repository, &args.source.pointer(), &expectations).await?;
    args.output.print(&verified, || show(&verified))
}

fn read_key(path: &Path) -> anyhow::Result<PublicKey> {
    let pem = file::read_text("--key", path)?;
    PublicKey::from_pem(&pem).with_context(|| format!("--key {}", path.display()))
}

fn show(verified: &Verified) -> anyhow::Result<String> {
    let mut text = format!("digest: {}\n", verified.digest);
    if let Some(module) = &verified.module_digest {
        writeln!(text, "module: {module}")?;
    }
    let signature = if verified.signed {
        "valid"
    } else {
        "not checked (no --key)"
    };
    writeln!(text, "signature: {signature}")?;
    for (what, documents) in [
        ("bill of materials", &verified.sboms),
        ("provenance", &verified.provenance),
    ] {
        if documents.is_empty() {
            writeln!(text, "{what}: none")?;
        }
        for document in documents {
            let signed = if document.signed {
                "signed"
            } else {
                "signature not checked"
            };
            writeln!(
                text,
                "{what}: {} {} ({signed})",
                document.media_type, document.digest
            )?;
        }
    }
    for rejected in &verified.rejected {
        writeln!(text, "does not count: {rejected}")?;
    }
    Ok(text)
}
