use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueEnum;
use lazymesh_oci::{
    Artifact, Build, Digest, Document, Location, Metadata, PrivateKey, Repository, Variant, attach,
    created_from_epoch, media, provenance, push, sign,
};
use secrecy::SecretString;
use serde::Serialize;

use crate::oci_registry::{Bar, LoginArgs, RegistryArgs};
use crate::output::Output;

/// Who the provenance says has pushed, where nothing else is known about the build.
const BUILDER: &str = concat!("https://lazymesh.io/push/v", env!("CARGO_PKG_VERSION"));
/// cosign's own name for it.
const PASSWORD_VARIABLE: &str = "COSIGN_PASSWORD";

#[derive(clap::Args)]
#[command(after_help = "\
Documents that lie beside the module under its name (filter.cdx.json, filter.spdx.json, filter.provenance.json) are attached \
without being asked for.

Examples:
  lazymesh push registry.example/lazymesh/filter:0.1.0
  lazymesh push registry.example/lazymesh/filter:0.1.0 --sign-key cosign.key
  lazymesh push oci-layout:out:0.1.0 --file target/lazymesh_filter.wasm -o json")]
pub(crate) struct Args {
    /// Where to: HOST/NAME:TAG, or oci-layout:DIR:TAG for a directory
    #[arg(value_name = "REF")]
    target: Location,
    /// The Wasm module
    #[arg(long, value_name = "FILE", default_value = "filter.wasm")]
    file: PathBuf,
    /// Shape of the artifact
    #[arg(long, value_enum, default_value_t = Shape::Wasm)]
    variant: Shape,
    /// Version of the module
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    module_version: String,
    /// Address of the module's sources
    #[arg(long, value_name = "URL")]
    source: Option<String>,
    /// Commit the module was built from, in full
    #[arg(long, value_name = "COMMIT", requires = "source")]
    revision: Option<String>,
    /// Seconds since 1970 to give as the time of the build; none is given without
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH")]
    created: Option<String>,
    /// Bill of materials to attach, CycloneDX or SPDX in JSON
    #[arg(long, value_name = "FILE")]
    sbom: Option<PathBuf>,
    /// Provenance to attach, an in-toto statement; without it, one made of --source and --revision
    #[arg(long, value_name = "FILE")]
    provenance: Option<PathBuf>,
    /// Private key to sign with: cosign's (its password in $COSIGN_PASSWORD), or any P-256 key in PKCS#8 PEM
    #[arg(long, value_name = "FILE")]
    sign_key: Option<PathBuf>,
    /// Form of the answer
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Output,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    login: LoginArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Shape {
    /// Two layers with media types of their own, as oras makes them; what Istio prefers
    Wasm,
    /// One tar+gzip layer, as an image build makes it; for consumers that know only images. Istio does not check its digest
    Compat,
}

/// What was pushed, for programs.
#[derive(Serialize)]
struct Answer {
    reference: String,
    digest: Digest,
    /// `url` of a WasmPlugin; none for a directory.
    url: Option<String>,
    attached: Vec<String>,
    signed: bool,
    uploads: usize,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let Some(tag) = args.target.tag.clone() else {
        bail!(
            "{}: a push needs a tag, a digest is what comes out of it",
            args.target
        );
    };
    let module = fs::read(&args.file).with_context(|| format!("--file {}", args.file.display()))?;
    let documents = args.documents(&Digest::of(&module))?;
    let key = args.sign_key.as_deref().map(read_key).transpose()?;
    let artifact = Artifact::pack(module, &args.metadata()?, args.variant())?;
    let repository = args.registry.open_by(&args.target, &args.login).await?;

    let bar = Bar::new();
    let pushed = push(&*repository, &tag, &artifact, &|blob, done| {
        bar.show(blob, done);
    })
    .await?;
    drop(bar);
    let mut uploads = pushed.uploads;
    for document in &documents {
        uploads += attach(&*repository, artifact.manifest(), document)
            .await?
            .uploads;
    }
    if let Some(key) = &key {
        uploads += usize::from(args.sign(&*repository, &pushed.digest, key).await?);
    }
    let answer = Answer {
        reference: args.target.to_string(),
        digest: pushed.digest,
        url: args.target.plugin_url(&pushed.digest),
        attached: documents
            .into_iter()
            .map(|document| document.media_type)
            .collect(),
        signed: key.is_some(),
        uploads,
    };
    args.output.print(&answer, || answer.show())
}

impl Args {
    fn metadata(&self) -> anyhow::Result<Metadata> {
        Ok(Metadata {
            // Not the name of the file: where the module lay must not change the digest.
            title: "filter.wasm".to_owned(),
            version: Some(self.module_version.clone()),
            source: self.source.clone(),
            revision: self.revision.clone(),
            created: self
                .created
                .as_deref()
                .map(created_from_epoch)
                .transpose()?,
        })
    }

    fn variant(&self) -> Variant {
        match self.variant {
            Shape::Wasm => Variant::Wasm,
            Shape::Compat => Variant::Compat,
        }
    }

    async fn sign(
        &self,
        repository: &dyn Repository,
        digest: &Digest,
        key: &PrivateKey,
    ) -> anyhow::Result<bool> {
        let name = Location {
            tag: None,
            digest: None,
            ..self.target.clone()
        };
        Ok(sign(repository, digest, &name.to_string(), key).await?)
    }

    fn documents(&self, module: &Digest) -> anyhow::Result<Vec<Document>> {
        let beside =
            |ending: &str| Some(self.file.with_extension(ending)).filter(|it| it.is_file());
        let sbom = self
            .sbom
            .clone()
            .or_else(|| beside("cdx.json"))
            .or_else(|| beside("spdx.json"));
        let sbom = sbom
            .as_deref()
            .map(|path| document(path, "sbom", sbom_type));
        let stated = self
            .provenance
            .clone()
            .or_else(|| beside("provenance.json"));
        let stated = match (stated, &self.source, &self.revision) {
            (Some(path), _, _) => Some(document(&path, "provenance", |_| Some(media::IN_TOTO))),
            (None, Some(source), Some(revision)) => {
                let build = Build {
                    source: source.clone(),
                    revision: revision.clone(),
                    builder: BUILDER.to_owned(),
                    ..Build::default()
                };
                Some(provenance("filter.wasm", module, &build).map_err(Into::into))
            }
            _ => None,
        };
        sbom.into_iter().chain(stated).collect()
    }
}

/// A JSON document to attach. Its title has no part of the path, which would say whose machine it was.
fn document(
    path: &Path,
    title: &str,
    kind: impl Fn(&serde_json::Value) -> Option<&'static str>,
) -> anyhow::Result<Document> {
    let shown = path.display();
    let bytes = fs::read(path).with_context(|| shown.to_string())?;
    let json = serde_json::from_slice(&bytes).with_context(|| format!("{shown} is no JSON"))?;
    let media_type = kind(&json).with_context(|| {
        format!("{shown} is neither CycloneDX (`bomFormat`) nor SPDX (`spdxVersion`)")
    })?;
    Ok(Document {
        media_type: media_type.to_owned(),
        title: format!("filter.{title}.json"),
        bytes: bytes.into(),
    })
}

fn sbom_type(document: &serde_json::Value) -> Option<&'static str> {
    if document.get("bomFormat").is_some() {
        Some(media::CYCLONEDX)
    } else {
        document.get("spdxVersion").map(|_| media::SPDX)
    }
}

fn read_key(path: &Path) -> anyhow::Result<PrivateKey> {
    let at = || format!("--sign-key {}", path.display());
    let pem = fs::read_to_string(path).with_context(at)?;
    let password = std::env::var(PASSWORD_VARIABLE)
        .ok()
        .map(SecretString::from);
    PrivateKey::from_pem(&pem, password.as_ref())
        .with_context(|| format!("{} (password: ${PASSWORD_VARIABLE})", at()))
}

impl Answer {
    fn show(&self) -> anyhow::Result<String> {
        let mut text = format!("reference: {}\ndigest: {}\n", self.reference, self.digest);
        for attached in &self.attached {
            writeln!(text, "attached: {attached}")?;
        }
        if self.signed {
            writeln!(text, "signed: sha256-{}.sig", self.digest.hex())?;
        }
        if let Some(url) = &self.url {
            writeln!(text, "url: {url}")?;
        }
        Ok(text)
    }
}
