//! What the subcommands about artifacts have in common: how to reach a registry, and showing that something happens.

use std::io::{Read, stdin};
use std::path::PathBuf;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use lazymesh_oci::{Credentials, Descriptor, Home, Location, RegistryOptions, Repository};
use tokio::signal::unix::{SignalKind, signal};

use crate::file;

/// Longest password or token read from standard input, in bytes.
const MOST_PASSWORD: u64 = 64 * 1024;

/// How to speak to registries.
#[derive(clap::Args)]
#[command(next_help_heading = "Registry")]
struct RegistryArgs {
    /// Speak http instead of https; credentials then travel in clear
    #[arg(long)]
    insecure: bool,
    /// PEM file of certificates to trust besides the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// How to speak to a registry, and as whom. Without a user, what docker and oras keep: ~/.docker/config.json and credential helpers.
#[derive(clap::Args)]
#[command(next_help_heading = "Registry")]
pub(crate) struct LoginArgs {
    #[command(flatten)]
    registry: RegistryArgs,
    /// User of the registry
    #[arg(long, value_name = "NAME", requires = "password_stdin")]
    username: Option<String>,
    /// Read the user's password, or a token, from standard input
    #[arg(long, requires = "username")]
    password_stdin: bool,
}

impl RegistryArgs {
    /// The repository of `location`, with the credentials that docker keeps for it.
    async fn open(&self, location: &Location) -> anyhow::Result<Box<dyn Repository>> {
        let credentials = match &location.home {
            Home::Registry { host, .. } => Credentials::from_docker_config(host).await?,
            Home::Layout(_) => Credentials::Anonymous,
        };
        self.open_as(location, credentials)
    }

    fn open_as(
        &self,
        location: &Location,
        credentials: Credentials,
    ) -> anyhow::Result<Box<dyn Repository>> {
        let read = |path: &PathBuf| {
            let pem = file::read_text("--ca-file", path)?;
            anyhow::Ok(pem.into_bytes())
        };
        let options = RegistryOptions {
            credentials,
            plain_http: self.insecure,
            ca: self.ca_file.as_ref().map(read).transpose()?,
            ..RegistryOptions::default()
        };
        Ok(lazymesh_oci::open(location, options)?)
    }
}

impl LoginArgs {
    /// The repository of `location`.
    pub(crate) async fn open(&self, location: &Location) -> anyhow::Result<Box<dyn Repository>> {
        match &self.username {
            Some(name) if is_registry(location) => {
                let credentials = Credentials::basic(name, password()?);
                self.registry.open_as(location, credentials)
            }
            _ => self.registry.open(location).await,
        }
    }

    /// The repositories of a copy. A user is one of the registry among them.
    pub(crate) async fn open_both(
        &self,
        source: &Location,
        target: &Location,
    ) -> anyhow::Result<[Box<dyn Repository>; 2]> {
        if self.username.is_some() && is_registry(source) && is_registry(target) {
            bail!(
                "--username: SRC and DST are both registries; keep the credentials for either in docker's config.json \
                 (`docker login`)"
            );
        }
        Ok([self.open(source).await?, self.open(target).await?])
    }
}

fn is_registry(location: &Location) -> bool {
    matches!(location.home, Home::Registry { .. })
}

/// Runs an operation until it ends, or somebody wants it to end: coming back from it, rather than being killed in it,
/// removes the files that were begun.
pub(crate) async fn interruptible<T, E: Into<anyhow::Error>>(
    operation: impl Future<Output = Result<T, E>>,
) -> anyhow::Result<T> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    tokio::select! {
        result = operation => result.map_err(Into::into),
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

fn password() -> anyhow::Result<String> {
    let mut password = String::new();
    let read = stdin()
        .lock()
        .take(MOST_PASSWORD)
        .read_to_string(&mut password);
    read.context("--password-stdin: expected UTF-8 on standard input")?;
    let password = password.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("--password-stdin: standard input is empty");
    }
    Ok(password.to_owned())
}

/// A bar on standard error, where that is a terminal.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::no_length();
        // A template of constants: if it were wrong, a plainer bar would do.
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {msg}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// For the library: `done` bytes of `blob` are through.
    pub(crate) fn show(&self, blob: &Descriptor, done: u64) {
        self.0.set_length(blob.size);
        self.0.set_position(done);
        let mut short = blob.digest.hex();
        short.truncate(12);
        self.0.set_message(short);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
