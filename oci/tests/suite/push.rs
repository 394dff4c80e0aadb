//! Pushing: what is sent, what is not sent twice, and a registry that is in the way.

use crate::support::{FakeRegistry, artifact, module, registry, with};
use axum::http::{Method, StatusCode};
use lazymesh_oci::{
    Credentials, Document, Error, Pointer, attach, inspect, media, push, referrers,
};

fn sbom() -> Document {
    crate::support::sbom(&module(1000))
}

#[tokio::test]
async fn twice_sends_nothing_twice() {
    let fake = FakeRegistry::start(|_, _| None).await;
    let repository = registry(fake.address, Credentials::Anonymous);
    let artifact = artifact(module(1000));
    let first = push(&repository, "1.2.3", &artifact, &|_, _| {})
        .await
        .expect("pushed");
    assert_eq!(first.uploads, 3);
    assert!(
        attach(&repository, artifact.manifest(), &sbom())
            .await
            .expect("attached")
            .uploads
            > 0
    );
    let writes = fake.writes();
    let second = push(&repository, "1.2.3", &artifact, &|_, _| {})
        .await
        .expect("pushed");
    assert_eq!((second.digest, second.uploads), (first.digest, 0));
    assert_eq!(
        attach(&repository, artifact.manifest(), &sbom())
            .await
            .expect("attached")
            .uploads,
        0
    );
    assert_eq!(fake.writes(), writes);
}

#[tokio::test]
async fn referrers_without_the_api() {
    let fake = FakeRegistry::start(|_, _| None).await;
    let repository = registry(fake.address, Credentials::Anonymous);
    let artifact = artifact(module(1000));
    push(&repository, "1.2.3", &artifact, &|_, _| {})
        .await
        .expect("pushed");
    attach(&repository, artifact.manifest(), &sbom())
        .await
        .expect("attached");
    let found = referrers(&repository, &artifact.manifest().digest())
        .await
        .expect("listed");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].artifact_type.as_deref(), Some(media::CYCLONEDX));
    let seen = inspect(&repository, &Pointer::Tag("1.2.3".to_owned()))
        .await
        .expect("inspected");
    assert_eq!(seen.referrers, found);
    assert!(!seen.signed);
}

/// AWS ECR answers a pushed manifest without `Location`.
#[tokio::test]
async fn no_location_after_a_manifest() {
    let fake = FakeRegistry::start(|seen, _| {
        let is_manifest = seen.method == Method::PUT && seen.path.contains("/manifests/");
        is_manifest.then(|| with(StatusCode::CREATED, &[], ""))
    })
    .await;
    let repository = registry(fake.address, Credentials::Anonymous);
    push(&repository, "1.2.3", &artifact(module(1000)), &|_, _| {})
        .await
        .expect("pushed");
    attach(&repository, artifact(module(1000)).manifest(), &sbom())
        .await
        .expect("attached");
}

#[tokio::test]
async fn locations_that_are_none() {
    for location in ["", "http://", "not a url", "ftp://127.0.0.1/"] {
        let fake = FakeRegistry::start(move |seen, _| {
            (seen.method == Method::POST)
                .then(|| with(StatusCode::ACCEPTED, &[("location", location)], ""))
        })
        .await;
        let repository = registry(fake.address, Credentials::Anonymous);
        let error = push(&repository, "1.2.3", &artifact(module(1000)), &|_, _| {})
            .await
            .expect_err("refused");
        assert!(
            matches!(error, Error::Malformed { .. } | Error::Connection { .. }),
            "{location:?}: {error:?}"
        );
    }
}

#[tokio::test]
async fn credentials_are_sent_when_asked_for() {
    let fake = FakeRegistry::start(|seen, _| {
        let challenge = [("www-authenticate", "Basic realm=\"test\"")];
        seen.authorization
            .is_none()
            .then(|| with(StatusCode::UNAUTHORIZED, &challenge, ""))
    })
    .await;
    let repository = registry(fake.address, Credentials::basic("user", "secret"));
    push(&repository, "1.2.3", &artifact(module(1000)), &|_, _| {})
        .await
        .expect("pushed");
    let anonymous = registry(fake.address, Credentials::Anonymous);
    let error = push(&anonymous, "1.2.3", &artifact(module(1000)), &|_, _| {})
        .await
        .expect_err("refused");
    assert!(matches!(error, Error::Unauthorized { .. }), "{error:?}");
}

/// An upload that a registry delegates to another host goes there without credentials.
#[tokio::test]
async fn credentials_do_not_follow_an_upload() {
    let elsewhere = FakeRegistry::start(|_, _| None).await;
    let location = format!(
        "http://{}/v2/lazymesh/filter/blobs/uploads/1",
        elsewhere.address
    );
    let fake = FakeRegistry::start(move |seen, _| {
        let challenge = [("www-authenticate", "Basic realm=\"test\"")];
        if seen.authorization.is_none() {
            return Some(with(StatusCode::UNAUTHORIZED, &challenge, ""));
        }
        (seen.method == Method::POST)
            .then(|| with(StatusCode::ACCEPTED, &[("location", &location)], ""))
    })
    .await;
    let repository = registry(fake.address, Credentials::basic("user", "secret"));
    push(&repository, "1.2.3", &artifact(module(1000)), &|_, _| {})
        .await
        .expect("pushed");
    let there = elsewhere.seen();
    assert!(
        !there.is_empty() && there.iter().all(|seen| seen.authorization.is_none()),
        "{there:?}"
    );
}

#[tokio::test]
async fn a_registry_that_is_down() {
    let fake = FakeRegistry::start(|seen, _| {
        (seen.method != Method::HEAD && seen.method != Method::GET)
            .then(|| with(StatusCode::INTERNAL_SERVER_ERROR, &[], "out of order"))
    })
    .await;
    let repository = registry(fake.address, Credentials::Anonymous);
    let error = push(&repository, "1.2.3", &artifact(module(1000)), &|_, _| {})
        .await
        .expect_err("refused");
    assert!(
        matches!(error, Error::Status { status: 500, .. }),
        "{error:?}"
    );
}
