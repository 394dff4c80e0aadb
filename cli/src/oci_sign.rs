use std::path::{Path, PathBuf};

use anyhow::Context;
use lazymesh_oci::{Digest, Expectations, Home, Location, PrivateKey, Repository, sign, verify};
use secrecy::SecretString;
use serde::Serialize;

use crate::file;
use crate::oci_registry::{LoginArgs, interruptible};
use crate::output::OutputArgs;

/// cosign's own name for it.
const PASSWORD_VARIABLE: &str = "COSIGN_PASSWORD";

#[derive(clap::Args)]
#[command(after_help = "\
Bills of materials and provenance that `lazymesh verify` would count are signed too. Signed in a directory before it is copied \
to a registry, nothing is there unsigned: `lazymesh copy` takes signatures along.

Examples:
  lazymesh sign oci-layout:target/image:0.1.0 --image --sign-key cosign.key
  lazymesh sign registry.example/lazymesh/filter:0.1.0 --sign-key cosign.key")]
pub(crate) struct Args {
    #[arg(
        help = "What to sign: HOST/NAME[:TAG][@DIGEST], or oci-layout:DIR[:TAG][@DIGEST]",
        value_name = "REF"
    )]
    target: Location,
    /// It is a container image: no module in it, and documents name its manifest
    #[arg(long)]
    image: bool,
    /// Private key to sign with: cosign's (its password in $COSIGN_PASSWORD), or any P-256 key in PKCS#8 PEM
    #[arg(long, value_name = "FILE")]
    sign_key: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    login: LoginArgs,
}

/// What was signed, for programs.
#[derive(Default, Serialize)]
struct Answer {
    /// The artifact, and before it its documents.
    signed: Vec<Digest>,
    uploads: usize,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let key = read_key(&args.sign_key)?;
    let repository = args.login.open(&args.target).await?;
    let answer = interruptible(args.sign(&*repository, &key)).await?;
    args.output.print(&answer, || {
        let lines = answer
            .signed
            .iter()
            .map(|digest| format!("signed: {digest}\n"));
        Ok(lines.collect())
    })
}

impl Args {
    async fn sign(&self, repository: &dyn Repository, key: &PrivateKey) -> anyhow::Result<Answer> {
        let whole = Expectations {
            image: self.image,
            ..Expectations::default()
        };
        let found = verify(repository, &self.target.pointer(), &whole).await?;
        let documents = found.sboms.iter().chain(&found.provenance);
        let mut answer = Answer::default();
        // The artifact last, so that one that is signed has its documents.
        for digest in documents.map(|it| it.digest).chain([found.digest]) {
            let sent = sign(repository, &digest, &signed_name(&self.target), key).await?;
            answer.signed.push(digest);
            answer.uploads += usize::from(sent);
        }
        Ok(answer)
    }
}

/// What a signature calls the repository.
pub(crate) fn signed_name(target: &Location) -> String {
    match &target.home {
        Home::Registry { host, repository } => format!("{host}/{repository}"),
        // Where the directory lies is nobody's business, and would make every signature another one.
        Home::Layout(_) => "oci-layout".to_owned(),
    }
}

/// The key of `--sign-key`.
///
/// # Errors
/// When it cannot be read or opened.
pub(crate) fn read_key(path: &Path) -> anyhow::Result<PrivateKey> {
    let at = || format!("--sign-key {}", path.display());
    let pem = file::read_text("--sign-key", path)?;
    let password = std::env::var(PASSWORD_VARIABLE)
        .ok()
        .map(SecretString::from);
    PrivateKey::from_pem(&pem, password.as_ref())
        .with_context(|| format!("{} (password: ${PASSWORD_VARIABLE})", at()))
}
