//! Debian's `docker-registry`: plain, with TLS, with passwords, and with tokens.

use std::fs;

use lazymesh_oci::{
    Credentials, Digest, Error, Layout, Limits, Pointer, Registry, RegistryOptions, attach, copy,
    inspect, pull, push, referrers,
};

use crate::command::Place;
use crate::launcher::DockerRegistry;
use crate::support::{artifact, module, sbom};

pub(crate) fn plain(credentials: Credentials) -> RegistryOptions {
    RegistryOptions {
        credentials,
        plain_http: true,
        ..RegistryOptions::default()
    }
}

pub(crate) fn tag() -> Pointer {
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
async fn http_where_https_was_expected() {
    let registry = DockerRegistry::start("", &[]).await;
    let error = inspect(&registry.open(RegistryOptions::default()), &tag()).await;
    let error = error.expect_err("no TLS there").to_string();
    assert!(error.contains("does not speak https"), "{error}");
}

#[tokio::test]
async fn what_was_tampered_with_is_refused() {
    let registry = DockerRegistry::start("", &[]).await;
    let ours = registry.open(plain(Credentials::Anonymous));
    push(&ours, "1.2.3", &artifact(module(5000)), &|_, _| {})
        .await
        .expect("pushed");
    let other: Vec<u8> = module(5000).into_iter().rev().collect();
    fs::write(registry.blob(&Digest::of(&module(5000))), other).expect("written");
    let seen = inspect(&ours, &tag()).await;
    assert!(
        matches!(seen, Err(Error::DigestMismatch { .. })),
        "{seen:?}"
    );
}

#[tokio::test]
async fn with_passwords() {
    let registry = DockerRegistry::with_passwords().await;
    full_round(&registry.open(plain(robot("correct horse")))).await;
    refused(&registry.open(plain(robot("wrong")))).await;
    refused(&registry.open(plain(Credentials::Anonymous))).await;
}

#[tokio::test]
async fn with_tokens() {
    let registry = DockerRegistry::with_tokens().await;
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

    let place = Place::new(&module(1));
    place.write("ca.pem", &authority.pem());
    let reference = format!("{}/lazymesh/filter:1.2.3", registry.address);
    let error = place.run(&["inspect", &reference]).expect_err("refused");
    assert!(error.contains("certificate"), "{error}");
    let seen = place.run(&["inspect", &reference, "--ca-file", "ca.pem"]);
    assert!(seen.expect("trusted").contains("filter.wasm"));
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
