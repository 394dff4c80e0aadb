//! A registry that lies, stalls and floods: each time one clear error, within the limits, and no file.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::support::{FakeRegistry, Seen, artifact, limits, module, registry, with};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use futures::stream::{self, StreamExt as _};
use lazymesh_oci::{Credentials, Digest, Error, Pointer, Repository as _, pull, referrers};

fn latest() -> Pointer {
    Pointer::Tag("latest".to_owned())
}

/// Pulls from a registry that misbehaves; the error, after checking that nothing is left behind and it was in time.
async fn pull_error(
    misbehave: impl Fn(&Seen, &HeaderMap) -> Option<Response<Body>> + Send + Sync + 'static,
) -> Error {
    let fake = FakeRegistry::start(misbehave).await;
    fake.holds(&artifact(module(100_000)));
    pull_error_from(&fake, Credentials::Anonymous).await
}

async fn pull_error_from(fake: &FakeRegistry, credentials: Credentials) -> Error {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("filter.wasm");
    std::fs::write(&path, "old").expect("written");
    let start = Instant::now();
    let pulled = pull(
        &registry(fake.address, credentials),
        &latest(),
        &path,
        &|_, _| {},
    )
    .await;
    assert!(
        start.elapsed() < limits().total + Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(std::fs::read(&path).expect("still there"), b"old");
    assert_eq!(
        std::fs::read_dir(dir.path()).expect("a directory").count(),
        1,
        "something was left behind"
    );
    pulled.expect_err("refused")
}

macro_rules! expect {
    ($error:expr, $pattern:pat) => {{
        let error = $error;
        assert!(matches!(error, $pattern), "{error:?}");
        assert!(error.to_string().len() < 500, "{error}");
    }};
}

fn is_blob(seen: &Seen) -> bool {
    seen.method == Method::GET && seen.path.contains("/blobs/")
}

fn is_manifest(seen: &Seen) -> bool {
    seen.path.contains("/manifests/")
}

fn endless() -> Body {
    Body::from_stream(stream::repeat(Bytes::from_static(&[0; 65_536])).map(Ok::<_, Infallible>))
}

#[tokio::test]
async fn another_blob_of_the_same_size() {
    let other = module(100_000).into_iter().rev().collect::<Vec<_>>();
    let error =
        pull_error(move |seen, _| is_blob(seen).then(|| with(StatusCode::OK, &[], other.clone())))
            .await;
    expect!(error, Error::DigestMismatch { .. });
}

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
async fn redirects_in_a_circle() {
    let circle = |seen: &Seen, _: &HeaderMap| {
        is_blob(seen).then(|| {
            with(
                StatusCode::TEMPORARY_REDIRECT,
                &[("location", &seen.path)],
                "",
            )
        })
    };
    expect!(pull_error(circle).await, Error::Redirect { .. });
}

/// Answers everything that carries no credentials with a challenge.
fn basic(seen: &Seen) -> Option<Response<Body>> {
    let challenge = [("www-authenticate", "Basic realm=\"test\"")];
    seen.authorization
        .is_none()
        .then(|| with(StatusCode::UNAUTHORIZED, &challenge, ""))
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect() {
    let artifact = artifact(module(1000));
    let elsewhere = FakeRegistry::start(|_, _| None).await;
    elsewhere.holds(&artifact);
    let address = elsewhere.address;
    let fake = FakeRegistry::start(move |seen, _| {
        let location = format!("http://{address}{}", seen.path);
        let redirect = || {
            with(
                StatusCode::TEMPORARY_REDIRECT,
                &[("location", &location)],
                "",
            )
        };
        basic(seen).or_else(|| is_blob(seen).then(redirect))
    })
    .await;
    fake.holds(&artifact);
    let dir = tempfile::tempdir().expect("a directory");
    let repository = registry(fake.address, Credentials::basic("user", "secret"));
    pull(
        &repository,
        &latest(),
        &dir.path().join("filter.wasm"),
        &|_, _| {},
    )
    .await
    .expect("pulled");
    assert!(fake.seen().iter().any(|seen| seen.authorization.is_some()));
    let there = elsewhere.seen();
    assert!(
        !there.is_empty() && there.iter().all(|seen| seen.authorization.is_none()),
        "{there:?}"
    );
}

#[tokio::test]
async fn a_challenge_behind_a_redirect_is_not_answered() {
    let elsewhere = FakeRegistry::start(|seen, _| basic(seen)).await;
    let address = elsewhere.address;
    let fake = FakeRegistry::start(move |seen, _| {
        let location = format!("http://{address}{}", seen.path);
        Some(with(
            StatusCode::TEMPORARY_REDIRECT,
            &[("location", &location)],
            "",
        ))
    })
    .await;
    expect!(
        pull_error_from(&fake, Credentials::basic("user", "secret")).await,
        Error::Unauthorized { .. }
    );
    assert!(
        elsewhere
            .seen()
            .iter()
            .all(|seen| seen.authorization.is_none())
    );
}

#[tokio::test]
async fn refusals_without_end() {
    let refusals = AtomicU32::new(0);
    let fake = FakeRegistry::start(move |_, _| {
        assert!(
            refusals.fetch_add(1, Ordering::Relaxed) < 5,
            "asked again and again"
        );
        Some(with(
            StatusCode::UNAUTHORIZED,
            &[("www-authenticate", "Basic realm=\"test\"")],
            "",
        ))
    })
    .await;
    let error = pull_error_from(&fake, Credentials::basic("user", "hunter2")).await;
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    expect!(error, Error::Unauthorized { .. });
    expect!(
        pull_error_from(&fake, Credentials::Anonymous).await,
        Error::Unauthorized { .. }
    );
}

/// A token server that answers `body`, at the registry itself.
async fn with_token_server(body: &'static str, endlessly: bool) -> FakeRegistry {
    let fake = FakeRegistry::start(move |seen, headers| {
        let host = headers
            .get("host")
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"test\"");
        match seen.path.as_str() {
            "/token" if endlessly => Some(with(StatusCode::OK, &[], endless())),
            "/token" => Some(with(StatusCode::OK, &[], body)),
            _ if seen.authorization.as_deref() == Some("Bearer good") => None,
            _ => Some(with(
                StatusCode::UNAUTHORIZED,
                &[("www-authenticate", &challenge)],
                "",
            )),
        }
    })
    .await;
    fake.holds(&artifact(module(1000)));
    fake
}

#[tokio::test]
async fn tokens() {
    let fake = with_token_server(r#"{"token":"good"}"#, false).await;
    let repository = registry(fake.address, Credentials::basic("user", "secret"));
    repository.manifest(&latest()).await.expect("authorised");
    let asked: Vec<_> = fake
        .seen()
        .into_iter()
        .filter(|seen| seen.path == "/token")
        .collect();
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0]
            .authorization
            .as_deref()
            .is_some_and(|value| value.starts_with("Basic "))
    );
}

#[tokio::test]
async fn an_identity_token_is_exchanged() {
    let fake = with_token_server(r#"{"access_token":"good"}"#, false).await;
    let credentials = Credentials::IdentityToken("refresh".into());
    registry(fake.address, credentials)
        .manifest(&latest())
        .await
        .expect("authorised");
    let asked = fake.seen().into_iter().find(|seen| seen.path == "/token");
    assert_eq!(asked.expect("asked for a token").method, Method::POST);
}

#[tokio::test]
async fn tokens_that_are_none() {
    for body in [
        "",
        "{}",
        r#"{"token":""}"#,
        r#"{"token":"a\nb"}"#,
        r#"{"token":7}"#,
    ] {
        let fake = with_token_server(body, false).await;
        expect!(
            pull_error_from(&fake, Credentials::Anonymous).await,
            Error::Malformed { .. }
        );
    }
    let fake = with_token_server(r#"{"token":"bad"}"#, false).await;
    expect!(
        pull_error_from(&fake, Credentials::Anonymous).await,
        Error::Unauthorized { .. }
    );
    let fake = with_token_server("", true).await;
    expect!(
        pull_error_from(&fake, Credentials::Anonymous).await,
        Error::TooLarge { limit: 65_536, .. }
    );
}

/// A registry that says 429 the first `times` times, with `after` as `Retry-After`.
fn slow_down(
    times: u32,
    after: &'static str,
) -> impl Fn(&Seen, &HeaderMap) -> Option<Response<Body>> {
    let count = AtomicU32::new(0);
    move |_, _| {
        let busy = count.fetch_add(1, Ordering::Relaxed) < times;
        busy.then(|| with(StatusCode::TOO_MANY_REQUESTS, &[("retry-after", after)], ""))
    }
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let fake = FakeRegistry::start(slow_down(1, "1")).await;
    fake.holds(&artifact(module(1000)));
    let start = Instant::now();
    registry(fake.address, Credentials::Anonymous)
        .manifest(&latest())
        .await
        .expect("the second time");
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn retry_after_beyond_our_patience() {
    let start = Instant::now();
    expect!(
        pull_error(slow_down(u32::MAX, "3600")).await,
        Error::TooManyRequests {
            retry_after: Some(_),
            ..
        }
    );
    assert!(start.elapsed() < Duration::from_secs(1));
    expect!(
        pull_error(slow_down(u32::MAX, "0")).await,
        Error::TooManyRequests { .. }
    );
}

#[tokio::test]
async fn server_errors() {
    let down = |_: &Seen, _: &HeaderMap| {
        Some(with(
            StatusCode::INTERNAL_SERVER_ERROR,
            &[],
            "\u{1b}[2Jout of order",
        ))
    };
    let error = pull_error(down).await;
    assert!(
        error.to_string().contains("out of order") && !error.to_string().contains('\u{1b}'),
        "{error}"
    );
    expect!(error, Error::Status { status: 500, .. });
    let endless = |_: &Seen, _: &HeaderMap| Some(with(StatusCode::BAD_GATEWAY, &[], endless()));
    expect!(pull_error(endless).await, Error::Status { status: 502, .. });
}

#[tokio::test]
async fn one_server_error_is_forgiven() {
    let count = AtomicU32::new(0);
    let fake = FakeRegistry::start(move |_, _| {
        (count.fetch_add(1, Ordering::Relaxed) == 0)
            .then(|| with(StatusCode::SERVICE_UNAVAILABLE, &[], ""))
    })
    .await;
    fake.holds(&artifact(module(1000)));
    registry(fake.address, Credentials::Anonymous)
        .manifest(&latest())
        .await
        .expect("the second time");
}

/// Cuts the first answer for a blob in half; `ranges` says whether the registry then can go on in the middle.
async fn resumes(ranges: bool) {
    let artifact = artifact(module(100_000));
    let whole = artifact
        .blobs()
        .map(|(_, bytes)| bytes.clone())
        .max_by_key(Bytes::len)
        .expect("blobs");
    let count = AtomicU32::new(0);
    let fake = FakeRegistry::start(move |seen, _| {
        let first = is_blob(seen) && count.fetch_add(1, Ordering::Relaxed) == 0;
        let half = || with(StatusCode::OK, &[], whole.slice(..whole.len() / 2));
        first.then(half).or_else(|| {
            (is_blob(seen) && !ranges).then(|| with(StatusCode::OK, &[], whole.clone()))
        })
    })
    .await;
    fake.holds(&artifact);
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("filter.wasm");
    pull(
        &registry(fake.address, Credentials::Anonymous),
        &latest(),
        &path,
        &|_, _| {},
    )
    .await
    .expect("pulled");
    assert_eq!(std::fs::read(&path).expect("there"), module(100_000));
}

#[tokio::test]
async fn a_cut_transfer_goes_on() {
    resumes(true).await;
    resumes(false).await;
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

#[tokio::test]
async fn never_an_answer() {
    // The kernel takes the connection, and nobody reads from it.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let asked = registry(address, Credentials::Anonymous)
        .manifest(&latest())
        .await;
    expect!(asked.expect_err("gave up"), Error::TimedOut { .. });
}

#[tokio::test]
async fn nobody_there() {
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a port");
    let error = registry(address, Credentials::Anonymous)
        .manifest(&latest())
        .await
        .expect_err("refused");
    expect!(error, Error::Connection { .. });
}
