use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use clap::ValueEnum;
use lazymesh_oci::{
    Artifact, Digest, Limits, Location, Metadata, PrivateKey, Repository, Variant, attach,
    created_from_epoch, push, sign,
};
use serde::Serialize;

use crate::file;
use crate::oci_documents::{About, DocumentArgs};
use crate::oci_registry::{Bar, LoginArgs, interruptible};
use crate::oci_sign::{read_key, signed_name};
use crate::output::OutputArgs;

const WHERE_DOCUMENTS_COME_FROM: &str =
    "cargo xtask build-filter leaves a bill of materials and provenance beside the module";

#[derive(clap::Args)]
#[command(after_help = "\
Documents that lie beside the module under its name (filter.cdx.json, filter.spdx.json, filter.provenance.json), as \
`cargo xtask build-filter` leaves them, are attached without being asked for, and tell source and revision. With --sign-key they \
are signed too.

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
    /// Seconds since 1970 to give as the time of the build; none is given without
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH")]
    created: Option<String>,
    #[command(flatten)]
    documents: DocumentArgs,
    /// Private key to sign with: cosign's (its password in $COSIGN_PASSWORD), or any P-256 key in PKCS#8 PEM
    #[arg(long, value_name = "FILE")]
    sign_key: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
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
    attached: Vec<Attached>,
    /// Whether artifact and documents are.
    signed: bool,
    uploads: usize,
}

/// A document, as a referrer of the artifact.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attached {
    media_type: String,
    digest: Digest,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let Some(tag) = args.target.tag.clone() else {
        bail!(
            "{}: a push needs a tag, a digest is what comes out of it",
            args.target
        );
    };
    let module = file::read("--file", &args.file, Limits::default().module_bytes)?;
    let about = args.documents.about(&args.file, &Digest::of(&module))?;
    let key = args.sign_key.as_deref().map(read_key).transpose()?;
    let artifact = Artifact::pack(module, &args.metadata(&about)?, args.variant())?;
    let repository = args.login.open(&args.target).await?;
    let stored = interruptible(args.store(&*repository, &tag, &artifact, &about, key.as_ref()));
    let answer = stored.await?;
    args.output.print(&answer, || answer.show())
}

impl Args {
    fn metadata(&self, about: &About) -> anyhow::Result<Metadata> {
        Ok(Metadata {
            // Not the name of the file: where the module lay must not change the digest.
            title: "filter.wasm".to_owned(),
            version: Some(self.module_version.clone()),
            source: about.source.clone(),
            revision: about.revision.clone(),
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

    async fn store(
        &self,
        repository: &dyn Repository,
        tag: &str,
        artifact: &Artifact,
        about: &About,
        key: Option<&PrivateKey>,
    ) -> anyhow::Result<Answer> {
        let bar = Bar::new();
        let pushed = push(repository, tag, artifact, &|blob, done| {
            bar.show(blob, done);
        })
        .await?;
        drop(bar);
        let mut answer = Answer {
            reference: self.target.to_string(),
            digest: pushed.digest,
            url: self.target.plugin_url(&pushed.digest),
            attached: Vec::new(),
            signed: key.is_some(),
            uploads: pushed.uploads,
        };
        for document in &about.documents {
            let attached = attach(repository, artifact.manifest(), document).await?;
            answer.uploads +=
                attached.uploads + self.sign(repository, &attached.digest, key).await?;
            answer.attached.push(Attached {
                media_type: document.media_type.clone(),
                digest: attached.digest,
            });
        }
        // Last, so that an artifact that is signed has its documents.
        answer.uploads += self.sign(repository, &pushed.digest, key).await?;
        Ok(answer)
    }

    /// Signs a manifest if there is a key; what was sent.
    async fn sign(
        &self,
        repository: &dyn Repository,
        digest: &Digest,
        key: Option<&PrivateKey>,
    ) -> anyhow::Result<usize> {
        let Some(key) = key else { return Ok(0) };
        let sent = sign(repository, digest, &signed_name(&self.target), key).await?;
        Ok(usize::from(sent))
    }
}

impl Answer {
    fn show(&self) -> anyhow::Result<String> {
        let mut text = format!("reference: {}\ndigest: {}\n", self.reference, self.digest);
        for Attached { media_type, digest } in &self.attached {
            writeln!(text, "attached: {media_type} {digest}")?;
        }
        if self.attached.is_empty() {
            writeln!(text, "attached: nothing; {WHERE_DOCUMENTS_COME_FROM}")?;
        }
        if self.signed {
            let documents = if self.attached.is_empty() {
                ""
            } else {
                ", with its documents"
            };
            writeln!(text, "signed: yes{documents}")?;
        }
        if let Some(url) = &self.url {
            writeln!(text, "url: {url}")?;
        }
        Ok(text)
    }
}
