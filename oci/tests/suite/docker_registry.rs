//! Debian's `docker-registry`: plain, with TLS, with passwords, and with tokens.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lazymesh_oci::{
    Artifact, Credentials, Digest, Error, Layout, Limits, Metadata, Pointer, Registry,
    RegistryOptions, Variant, attach, copy, inspect, pull, push, referrers,
};

use crate::support::{artifact, module, sbom};
use crate::token_server::TokenServer;

/// bcrypt of `correct horse`, user `robot`.
const HTPASSWD: &str = "robot:$2b$04$o1NGvZt95cfWqklhbaroGO6rBTyUfiOL6SFIRGILXneYcf.rIpPey\n";

pub(crate) struct DockerRegistry {
    process: Child,
    pub(crate) address: SocketAddr,
    dir: tempfile::TempDir,
}

impl DockerRegistry {
    /// A registry whose configuration has `more` besides storage and address. `{dir}` in it is a directory with `files`.
    pub(crate) async fn start(more: &str, files: &[(&str, String)]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let at = dir.path().display().to_string();
        for (name, contents) in files {
            fs::write(dir.path().join(name), contents).expect("written");
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
        let address = free.expect("a free port");
        let more = more.replace("{dir}", &at);
        let configuration = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {at}/data}}}}\n\
             http:\n  addr: {address}\n{more}"
        );
        let path = dir.path().join("config.yml");
        fs::write(&path, configuration).expect("written");
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("log")).expect("a file"))
            .spawn()
            .expect("docker-registry must be on PATH: apt-get install docker-registry");
        let mut registry = Self {
            process,
            address,
            dir,
        };
        registry.wait().await;
        registry
    }

    async fn wait(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while tokio::net::TcpStream::connect(self.address).await.is_err() {
            let ended = self.process.try_wait().expect("a child");
            let log = || fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "docker-registry: {}",
                log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Puts other bytes in the place of a blob, behind the registry's back.
    pub(crate) fn replace(&self, blob: &Digest, bytes: &[u8]) {
        let hex = blob.hex();
        let blobs = self.dir.path().join("data/docker/registry/v2/blobs/sha256");
        fs::write(blobs.join(&hex[..2]).join(&hex).join("data"), bytes).expect("written");
    }

    pub(crate) fn open(&self, options: RegistryOptions) -> Registry {
        Registry::new(&self.address.to_string(), "lazymesh/filter", options).expect("a client")
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        // Either fails only if the process is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn plain(credentials: Credentials) -> RegistryOptions {
    RegistryOptions {
        credentials,
        plain_http: true,
        ..RegistryOptions::default()
    }
}

fn tag() -> Pointer {
    Pointer::Tag("1.2.3".to_owned())
}

fn robot(password: &str) -> Credentials {
    Credentials::basic("robot", password)
}

/// Pushes, attaches, lists, inspects, pulls.
async fn full_round(registry: &Registry) {
    let artifact = artifact(module(100_000));
    let pushed = push(registry, "1.2.3", &artifact, &|_, _| {})
        .await
        .expect("pushed");
    let document = sbom(&module(100_000));
    let attached = attach(registry, artifact.manifest(), &document)
        .await
        .expect("attached");
    let again = push(registry, "1.2.3", &artifact, &|_, _| {})
        .await
        .expect("pushed");
    assert_eq!((again.digest, again.uploads), (pushed.digest, 0));
    assert_eq!(
        attach(registry, artifact.manifest(), &document)
            .await
            .expect("attached")
            .uploads,
        0
    );

    let seen = inspect(registry, &tag()).await.expect("inspected");
    assert_eq!(seen.digest, pushed.digest);
    assert_eq!(seen.referrers[0].digest, attached.digest);
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("filter.wasm");
    pull(registry, &tag(), &path, &|_, _| {})
        .await
        .expect("pulled");
    assert_eq!(fs::read(path).expect("there"), module(100_000));
}

async fn refused(registry: &Registry) {
    let seen = inspect(registry, &tag()).await;
    assert!(matches!(seen, Err(Error::Unauthorized { .. })), "{seen:?}");
    let pushed = push(registry, "evil", &artifact(module(1)), &|_, _| {}).await;
    assert!(
        matches!(pushed, Err(Error::Unauthorized { .. })),
        "{pushed:?}"
    );
}

#[tokio::test]
async fn open_to_all() {
    let registry = DockerRegistry::start("", &[]).await;
    full_round(&registry.open(plain(Credentials::Anonymous))).await;
}

#[tokio::test]
async fn what_was_tampered_with_is_refused() {
    let registry = DockerRegistry::start("", &[]).await;
    let ours = registry.open(plain(Credentials::Anonymous));
    push(&ours, "1.2.3", &artifact(module(5000)), &|_, _| {})
        .await
        .expect("pushed");
    let other: Vec<u8> = module(5000).into_iter().rev().collect();
    registry.replace(&Digest::of(&module(5000)), &other);
    let seen = inspect(&ours, &tag()).await;
    assert!(
        matches!(seen, Err(Error::DigestMismatch { .. })),
        "{seen:?}"
    );
}

#[tokio::test]
async fn with_passwords() {
    let more = "auth: {htpasswd: {realm: test, path: \"{dir}/htpasswd\"}}\n";
    let registry = DockerRegistry::start(more, &[("htpasswd", HTPASSWD.to_owned())]).await;
    full_round(&registry.open(plain(robot("correct horse")))).await;
    refused(&registry.open(plain(robot("wrong")))).await;
    refused(&registry.open(plain(Credentials::Anonymous))).await;
}

#[tokio::test]
async fn with_tokens() {
    let server = TokenServer::start("robot", "correct horse").await;
    let more = format!(
        "auth: {{token: {{realm: \"http://{}/token\", service: test, issuer: test, rootcertbundle: \"{{dir}}/ca.pem\"}}}}\n",
        server.address
    );
    let registry = DockerRegistry::start(&more, &[("ca.pem", server.certificate.clone())]).await;
    full_round(&registry.open(plain(robot("correct horse")))).await;
    refused(&registry.open(plain(robot("wrong")))).await;
    // Anonymous may pull here, and nothing else.
    let anonymous = registry.open(plain(Credentials::Anonymous));
    inspect(&anonymous, &tag()).await.expect("inspected");
    let pushed = push(&anonymous, "evil", &artifact(module(1)), &|_, _| {}).await;
    assert!(
        matches!(pushed, Err(Error::Unauthorized { .. })),
        "{pushed:?}"
    );
}

#[tokio::test]
async fn with_tls() {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    let authority = rcgen::CertifiedIssuer::self_signed(authority, key).expect("a certificate");
    let key = rcgen::KeyPair::generate().expect("a key");
    let names = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
    let certificate = names.signed_by(&key, &authority).expect("a certificate");
    let files = [
        ("cert.pem", certificate.pem()),
        ("key.pem", key.serialize_pem()),
    ];
    let more = "  tls: {certificate: \"{dir}/cert.pem\", key: \"{dir}/key.pem\"}\n";
    let registry = DockerRegistry::start(more, &files).await;

    let ca = Some(authority.pem().into_bytes());
    full_round(&registry.open(RegistryOptions {
        ca,
        ..RegistryOptions::default()
    }))
    .await;
    let limits = Limits {
        attempts: 1,
        ..Limits::default()
    };
    let stranger = registry.open(RegistryOptions {
        limits,
        ..RegistryOptions::default()
    });
    let error = inspect(&stranger, &tag())
        .await
        .expect_err("an unknown authority")
        .to_string();
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_mirror_of_it() {
    let registry = DockerRegistry::start("", &[]).await;
    let source = registry.open(plain(Credentials::Anonymous));
    full_round(&source).await;
    let dir = tempfile::tempdir().expect("a directory");
    let layout = Layout::new(dir.path(), Limits::default());
    let copied = copy(&source, &tag(), &layout, &tag())
        .await
        .expect("copied");
    let listed = referrers(&layout, &copied.digest).await.expect("listed");
    assert_eq!(listed.len(), 1);
    let other = Registry::new(
        &registry.address.to_string(),
        "mirror/filter",
        plain(Credentials::Anonymous),
    );
    let other = other.expect("a client");
    assert!(
        copy(&layout, &tag(), &other, &tag())
            .await
            .expect("copied")
            .uploads
            > 0
    );
    assert_eq!(
        inspect(&other, &tag()).await.expect("there").digest,
        copied.digest
    );
}

/// Runs a program that the tests need; its output.
fn run(command: &mut Command, package: &str) -> String {
    let output = command.output();
    let missing = || format!("{command:?} must be there: {package}");
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", missing()));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// skopeo inspects both variants, and copies them unchanged.
#[tokio::test]
async fn skopeo() {
    let registry = DockerRegistry::start("", &[]).await;
    let ours = registry.open(plain(Credentials::Anonymous));
    for variant in [Variant::Wasm, Variant::Compat] {
        let artifact = Artifact::pack(module(5000), &Metadata::default(), variant).expect("packs");
        let digest = push(&ours, "1.2.3", &artifact, &|_, _| {})
            .await
            .expect("pushed")
            .digest;
        let image = |repository: &str| format!("docker://{}/{repository}:1.2.3", registry.address);
        let skopeo = |arguments: &[&str]| {
            run(
                Command::new("skopeo").args(arguments),
                "apt-get install skopeo",
            )
        };
        let raw = skopeo(&[
            "inspect",
            "--raw",
            "--tls-verify=false",
            &image("lazymesh/filter"),
        ]);
        assert_eq!(raw.as_bytes(), artifact.manifest().bytes);
        let (from, to) = (image("lazymesh/filter"), image("skopeo/filter"));
        let copy = [
            "copy",
            "--insecure-policy",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
        ];
        skopeo(&[&copy[..], &["--preserve-digests", &from, &to]].concat());
        let copied = Registry::new(
            &registry.address.to_string(),
            "skopeo/filter",
            plain(Credentials::Anonymous),
        );
        let seen = inspect(&copied.expect("a client"), &tag())
            .await
            .expect("there");
        assert_eq!(seen.digest, digest);
    }
}

/// Where `pip install --target` has put oras.
fn oras(script: &str, arguments: &[&str]) -> String {
    let mut python = Command::new("python3");
    if let Some(at) = std::env::var_os("LAZYMESH_ORAS") {
        python.env("PYTHONPATH", PathBuf::from(at));
    }
    run(
        python.arg("-c").arg(script).args(arguments),
        "python3 with oras 0.2.43 (pip install oras)",
    )
}

#[tokio::test]
async fn oras_pulls_ours() {
    let registry = DockerRegistry::start("", &[]).await;
    let ours = registry.open(plain(Credentials::Anonymous));
    push(&ours, "1.2.3", &artifact(module(5000)), &|_, _| {})
        .await
        .expect("pushed");
    let dir = tempfile::tempdir().expect("a directory");
    let script = "import sys, oras.client\n\
        oras.client.OrasClient(insecure=True).pull(target=sys.argv[1], outdir=sys.argv[2])";
    let target = format!("{}/lazymesh/filter:1.2.3", registry.address);
    oras(script, &[&target, &dir.path().display().to_string()]);
    assert_eq!(
        fs::read(dir.path().join("filter.wasm")).expect("pulled"),
        module(5000)
    );
}

#[tokio::test]
async fn ours_pulls_what_oras_pushed() {
    let registry = DockerRegistry::start("", &[]).await;
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("plugin.wasm"), module(5000)).expect("written");
    fs::write(dir.path().join("config.json"), "{}").expect("written");
    let script = "import os, sys, oras.client\n\
        os.chdir(sys.argv[2])\n\
        files = ['config.json:application/vnd.module.wasm.config.v1+json',\n\
                 'plugin.wasm:application/vnd.module.wasm.content.layer.v1+wasm']\n\
        oras.client.OrasClient(insecure=True).push(target=sys.argv[1], files=files)";
    let target = format!("{}/lazymesh/filter:1.2.3", registry.address);
    oras(script, &[&target, &dir.path().display().to_string()]);
    let path = dir.path().join("pulled.wasm");
    let ours = registry.open(plain(Credentials::Anonymous));
    pull(&ours, &tag(), &path, &|_, _| {})
        .await
        .expect("pulled");
    assert_eq!(fs::read(path).expect("there"), module(5000));
}
