//! A directory in the place of a registry.

use std::path::{Path, PathBuf};

use lazymesh_oci::{
    Artifact, Credentials, Digest, Error, Expectations, Layout, Limits, Metadata, Pointer,
    PrivateKey, RegistryOptions, Repository, Variant, attach, copy, inspect, media, open, pull,
    push, referrers, sign, verify,
};

use crate::support::{FakeRegistry, artifact, limits, module, nested, registry, sbom};

fn layout(dir: &Path) -> Layout {
    Layout::new(dir, limits())
}

fn tag(name: &str) -> Pointer {
    Pointer::Tag(name.to_owned())
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a directory");
    entries
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

#[tokio::test]
async fn there_and_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let target = dir.path().join("filter.wasm");
    for variant in [Variant::Wasm, Variant::Compat] {
        let layout = layout(&dir.path().join("layout"));
        let artifact = Artifact::pack(module(5000), &Metadata::default(), variant).expect("packs");
        let pushed = push(&layout, "1", &artifact, &|_, _| {})
            .await
            .expect("stored");
        let pulled = pull(&layout, &tag("1"), &target, &|_, _| {})
            .await
            .expect("pulled");
        assert_eq!(pulled.digest, pushed.digest);
        assert_eq!(std::fs::read(&target).expect("there"), module(5000));
    }
    assert_eq!(files(dir.path()).len(), 2, "something was left behind");
}

#[tokio::test]
async fn a_tag_moves() {
    let dir = tempfile::tempdir().expect("a directory");
    let layout = layout(dir.path());
    let first = push(&layout, "1", &artifact(module(1)), &|_, _| {})
        .await
        .expect("stored");
    let second = push(&layout, "1", &artifact(module(2)), &|_, _| {})
        .await
        .expect("stored");
    let seen = inspect(&layout, &tag("1")).await.expect("there");
    assert_eq!(seen.digest, second.digest);
    assert_ne!(first.digest, second.digest);
}

#[tokio::test]
async fn tampering_is_seen() {
    let dir = tempfile::tempdir().expect("a directory");
    let layout = layout(dir.path());
    push(&layout, "1", &artifact(module(5000)), &|_, _| {})
        .await
        .expect("stored");
    for blob in files(&dir.path().join("blobs/sha256")) {
        let bytes = std::fs::read(&blob).expect("there");
        let mut tampered = bytes.clone();
        *tampered.last_mut().expect("no blob is empty") ^= 1;
        std::fs::write(&blob, tampered).expect("written");
        let target = dir.path().join("filter.wasm");
        let seen = [
            pull(&layout, &tag("1"), &target, &|_, _| {}).await.err(),
            verify(&layout, &tag("1"), &Expectations::default())
                .await
                .err(),
            inspect(&layout, &tag("1")).await.err(),
        ];
        for error in seen {
            assert!(
                matches!(error, Some(Error::DigestMismatch { .. })),
                "{}: {error:?}",
                blob.display()
            );
        }
        assert_eq!(files(dir.path()).len(), 3, "something was left behind");
        std::fs::write(&blob, bytes).expect("written");
    }
}

#[tokio::test]
async fn what_is_not_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let missing = inspect(&layout(&dir.path().join("none")), &tag("1")).await;
    assert!(
        matches!(missing, Err(Error::NotFound { .. })),
        "{missing:?}"
    );
    assert_eq!(files(dir.path()).len(), 0, "reading created something");
}

#[tokio::test]
async fn a_mirror_has_everything() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = layout(&dir.path().join("source"));
    let artifact = artifact(module(5000));
    let digest = push(&source, "1", &artifact, &|_, _| {})
        .await
        .expect("stored")
        .digest;
    let attached = attach(&source, artifact.manifest(), &sbom(&module(5000)))
        .await
        .expect("attached");
    let key = PrivateKey::from_pem(include_str!("../fixtures/plain.key"), None).expect("a key");
    for digest in [&digest, &attached.digest] {
        sign(&source, digest, "example.com/lazymesh/filter", &key)
            .await
            .expect("signed");
    }

    // Through a registry without the referrers API, and on into another directory.
    let fake = FakeRegistry::start(|_, _| None).await;
    let between = registry(fake.address, Credentials::Anonymous);
    let copied = copy(&source, &tag("1"), &between, &tag("2"))
        .await
        .expect("copied");
    assert_eq!((copied.digest, copied.companions), (digest, 3));
    let again = copy(&source, &tag("1"), &between, &tag("2"))
        .await
        .expect("copied");
    assert_eq!(again.uploads, 0);
    let target = layout(&dir.path().join("target"));
    copy(&between, &Pointer::Digest(digest), &target, &tag("3"))
        .await
        .expect("copied");

    assert_eq!(
        referrers(&source, &digest).await.expect("listed"),
        referrers(&target, &digest).await.expect("listed"),
    );
    let expectations = Expectations {
        digest: Some(digest),
        key: Some(key.public_key()),
        sbom: true,
        ..Expectations::default()
    };
    let verified = verify(&target, &tag("3"), &expectations)
        .await
        .expect("verified");
    assert_eq!(verified.sboms[0].media_type, media::CYCLONEDX);
}

#[tokio::test]
async fn a_location_opens_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let location = format!("oci-layout:{}:1", dir.path().display())
        .parse()
        .expect("a location");
    let repository = open(&location, RegistryOptions::default()).expect("opened");
    assert_eq!(repository.limits(), &Limits::default());
    push(&*repository, "1", &artifact(module(1)), &|_, _| {})
        .await
        .expect("stored");
    inspect(&*repository, &location.pointer())
        .await
        .expect("there");
}

#[tokio::test]
async fn members_of_an_index() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = layout(&dir.path().join("source"));
    let [first, second] = nested(&dir.path().join("source"), 2).await;
    let fake = FakeRegistry::start(|_, _| None).await;
    let between = registry(fake.address, Credentials::Anonymous);
    let target = layout(&dir.path().join("target"));
    let copied = copy(&source, &tag("all"), &between, &tag("all")).await;
    assert_eq!(copied.expect("copied").companions, 3);
    let copied = copy(&source, &tag("all"), &target, &tag("all")).await;
    assert_eq!(copied.expect("copied").companions, 3);

    let repositories: [&dyn Repository; 3] = [&source, &between, &target];
    for repository in repositories {
        for (digest, size) in [(first, 1), (second, 2)] {
            let pointer = Pointer::Digest(digest);
            verify(repository, &pointer, &Expectations::default())
                .await
                .expect("verified");
            let path = dir.path().join("filter.wasm");
            pull(repository, &pointer, &path, &|_, _| {})
                .await
                .expect("pulled");
            assert_eq!(std::fs::read(&path).expect("there"), module(size));
        }
    }
    // Blobs that are not manifests stay so.
    let blob = Pointer::Digest(Digest::of(&module(1)));
    let missing = inspect(&source, &blob).await;
    assert!(
        matches!(missing, Err(Error::NotFound { .. })),
        "{missing:?}"
    );
}

/// Referrers of a member, stored where the member itself is listed by an index only.
#[tokio::test]
async fn a_member_of_an_index_has_referrers() {
    let dir = tempfile::tempdir().expect("a directory");
    let layout = layout(dir.path());
    let [first, _] = nested(dir.path(), 1).await;
    let member = layout.manifest(&Pointer::Digest(first)).await;
    let attached = attach(&layout, &member.expect("there"), &sbom(&module(1))).await;
    let attached = attached.expect("attached").digest;
    let wanted = Expectations {
        sbom: true,
        ..Expectations::default()
    };
    let verified = verify(&layout, &Pointer::Digest(first), &wanted).await;
    assert_eq!(verified.expect("verified").sboms[0].digest, attached);
}
