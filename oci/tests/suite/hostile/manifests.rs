//! Manifests and lists without measure, or without sense.

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use lazymesh_oci::{Credentials, Digest, Error, Pointer, Repository as _, referrers};

use super::{endless, is_manifest, pull_error};
use crate::support::{FakeRegistry, Seen, registry, with};

#[tokio::test]
async fn another_manifest_than_the_digest_names() {
    let fake =
        FakeRegistry::start(|seen, _| is_manifest(seen).then(|| with(StatusCode::OK, &[], "{}")))
            .await;
    let error = registry(fake.address, Credentials::Anonymous)
        .manifest(&Pointer::Digest(Digest::of(b"x")))
        .await;
    expect!(error.expect_err("refused"), Error::DigestMismatch { .. });
}

#[tokio::test]
async fn a_manifest_of_100_megabytes() {
    let announced = |seen: &Seen, _: &HeaderMap| {
        is_manifest(seen).then(|| {
            with(
                StatusCode::OK,
                &[("content-length", "104857600")],
                endless(),
            )
        })
    };
    expect!(
        pull_error(announced).await,
        Error::TooLarge {
            limit: 4_194_304,
            ..
        }
    );
    let endless = |seen: &Seen, _: &HeaderMap| {
        is_manifest(seen).then(|| with(StatusCode::OK, &[], endless()))
    };
    expect!(
        pull_error(endless).await,
        Error::TooLarge {
            limit: 4_194_304,
            ..
        }
    );
}

#[tokio::test]
async fn ten_thousand_layers() {
    let layer = format!(
        r#"{{"mediaType":"a/b","size":1,"digest":"{}"}}"#,
        Digest::of(b"x")
    );
    let layers = vec![layer.clone(); 10_000].join(",");
    let manifest = format!(r#"{{"schemaVersion":2,"config":{layer},"layers":[{layers}]}}"#);
    let error = pull_error(move |seen, _| {
        is_manifest(seen).then(|| with(StatusCode::OK, &[], manifest.clone()))
    })
    .await;
    expect!(error, Error::TooMany { count: 10_000, .. });
}

#[tokio::test]
async fn no_manifest_at_all() {
    for document in ["", "<html>", "[]", "{}", r#"{"schemaVersion":1}"#] {
        let error = pull_error(move |seen, _| {
            is_manifest(seen).then(|| with(StatusCode::OK, &[], document))
        })
        .await;
        expect!(error, Error::Malformed { .. });
    }
}

#[tokio::test]
async fn a_layer_that_is_no_module() {
    let script = &b"#!/bin/sh\nexit 1\n"[..];
    let layer = format!(
        r#"{{"mediaType":"application/vnd.module.wasm.content.layer.v1+wasm","size":{},"digest":"{}"}}"#,
        script.len(),
        Digest::of(script),
    );
    let manifest = format!(r#"{{"schemaVersion":2,"config":{layer},"layers":[{layer}]}}"#);
    let error = pull_error(move |seen, _| {
        let body = if is_manifest(seen) {
            Bytes::from(manifest.clone())
        } else {
            Bytes::from_static(script)
        };
        Some(with(StatusCode::OK, &[], body))
    })
    .await;
    expect!(error, Error::NotWasm(_));
}

#[tokio::test]
async fn too_many_referrers() {
    let entry = format!(
        r#"{{"mediaType":"a/b","size":1,"digest":"{}"}}"#,
        Digest::of(b"x")
    );
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
        vec![entry; 1000].join(",")
    );
    let fake = FakeRegistry::start(move |_, _| {
        let kind = [("content-type", "application/vnd.oci.image.index.v1+json")];
        Some(with(StatusCode::OK, &kind, index.clone()))
    })
    .await;
    let found = referrers(
        &registry(fake.address, Credentials::Anonymous),
        &Digest::of(b"x"),
    )
    .await;
    expect!(
        found.expect_err("refused"),
        Error::TooMany { count: 1000, .. }
    );
}
