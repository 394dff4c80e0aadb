//! Blobs that are not what they should be, or do not come.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures::stream::{self, StreamExt as _};
use lazymesh_oci::{Credentials, Digest, Error, pull};

use super::{endless, is_blob, latest, pull_error, pull_error_from};
use crate::support::{FakeRegistry, artifact, module, registry, with};

#[tokio::test]
async fn another_blob_of_the_same_size() {
    let other = module(100_000).into_iter().rev().collect::<Vec<_>>();
    let error =
        pull_error(move |seen, _| is_blob(seen).then(|| with(StatusCode::OK, &[], other.clone())))
            .await;
    expect!(error, Error::DigestMismatch { .. });
}

#[tokio::test]
async fn a_blob_that_always_ends_early() {
    let error =
        pull_error(|seen, _| is_blob(seen).then(|| with(StatusCode::OK, &[], module(10)))).await;
    expect!(error, Error::Truncated { .. });
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle() {
    let error = pull_error(|seen, _| {
        let start = stream::once(async { Ok(Bytes::from_static(b"\0asm")) });
        // The start must be on its way before the cut, or the cut swallows it.
        let broken = start.chain(stream::once(async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Err(std::io::Error::other("cut"))
        }));
        is_blob(seen).then(|| {
            with(
                StatusCode::OK,
                &[("content-length", "100014")],
                Body::from_stream(broken),
            )
        })
    })
    .await;
    expect!(error, Error::Truncated { .. });
}

#[tokio::test]
async fn an_endless_blob() {
    let error =
        pull_error(|seen, _| is_blob(seen).then(|| with(StatusCode::OK, &[], endless()))).await;
    expect!(error, Error::TooLarge { limit: 100_014, .. });
}

#[tokio::test]
async fn a_blob_larger_than_we_take() {
    let fake = FakeRegistry::start(|_, _| None).await;
    fake.holds(&artifact(module(2 << 20)));
    expect!(
        pull_error_from(&fake, Credentials::Anonymous).await,
        Error::TooLarge {
            limit: 1_048_576,
            ..
        }
    );
}

#[tokio::test]
async fn bytes_that_trickle() {
    let error = pull_error(|seen, _| {
        let trickle = stream::repeat(()).then(|()| async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok::<_, Infallible>(Bytes::from_static(b"x"))
        });
        is_blob(seen).then(|| with(StatusCode::OK, &[], Body::from_stream(trickle)))
    })
    .await;
    expect!(error, Error::TimedOut { .. });
}

#[tokio::test]
async fn silence() {
    let error = pull_error(|seen, _| {
        let silence = stream::pending::<Result<Bytes, Infallible>>();
        is_blob(seen).then(|| with(StatusCode::OK, &[], Body::from_stream(silence)))
    })
    .await;
    expect!(error, Error::TimedOut { .. });
}

/// Cuts the first answer for the module in half; `ranges` says whether the registry then can go on in the middle.
async fn resumes(ranges: bool) {
    let whole = module(100_000);
    let artifact = artifact(whole.clone());
    let path = format!("/v2/lazymesh/filter/blobs/{}", Digest::of(&whole));
    let half = whole.len() / 2;
    let count = AtomicU32::new(0);
    let (sent, asked) = (whole.clone(), path.clone());
    let fake = FakeRegistry::start(move |seen, _| {
        if seen.path != asked {
            return None;
        }
        let first = count.fetch_add(1, Ordering::Relaxed) == 0;
        let bytes = if first { &sent[..half] } else { &sent[..] };
        (first || !ranges).then(|| with(StatusCode::OK, &[], bytes.to_vec()))
    })
    .await;
    fake.holds(&artifact);
    let dir = tempfile::tempdir().expect("a directory");
    let target = dir.path().join("filter.wasm");
    pull(
        &registry(fake.address, Credentials::Anonymous),
        &latest(),
        &target,
        &|_, _| {},
    )
    .await
    .expect("pulled");
    assert_eq!(std::fs::read(&target).expect("there"), whole);
    let asked = fake.seen().into_iter().filter(|seen| seen.path == path);
    let ranges: Vec<_> = asked.map(|seen| seen.range).collect();
    assert_eq!(ranges, [None, Some(format!("bytes={half}-"))]);
}

#[tokio::test]
async fn a_cut_transfer_goes_on() {
    resumes(true).await;
    resumes(false).await;
}
