//! Where credentials go and where not, and how often they are asked for.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::body::Body;
use axum::http::{HeaderMap, Method, Response, StatusCode};
use lazymesh_oci::{Credentials, Error, Repository as _, pull};

use super::{endless, is_blob, latest, pull_error, pull_error_from};
use crate::support::{FakeRegistry, Seen, artifact, module, registry, with};

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

/// Answers everything that carries no good token with a challenge, which names a token server at the registry itself.
fn bearer(seen: &Seen, headers: &HeaderMap) -> Option<Response<Body>> {
    let host = headers.get("host").and_then(|host| host.to_str().ok());
    let host = host.unwrap_or_default();
    let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"test\"");
    let challenge = [("www-authenticate", challenge.as_str())];
    (seen.authorization.as_deref() != Some("Bearer good"))
        .then(|| with(StatusCode::UNAUTHORIZED, &challenge, ""))
}

/// A token server that answers `body`.
async fn with_token_server(body: &'static str, endlessly: bool) -> FakeRegistry {
    let fake = FakeRegistry::start(move |seen, headers| match seen.path.as_str() {
        "/token" if endlessly => Some(with(StatusCode::OK, &[], endless())),
        "/token" => Some(with(StatusCode::OK, &[], body)),
        _ => bearer(seen, headers),
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

/// A token server that sends whoever asks to `location` with this status.
async fn with_moved_token_server(status: StatusCode, location: String) -> FakeRegistry {
    let fake = FakeRegistry::start(move |seen, headers| match seen.path.as_str() {
        "/token" => Some(with(status, &[("location", &location)], "")),
        "/moved" => Some(with(StatusCode::OK, &[], r#"{"token":"good"}"#)),
        _ => bearer(seen, headers),
    })
    .await;
    fake.holds(&artifact(module(1000)));
    fake
}

#[tokio::test]
async fn secrets_do_not_follow_a_token_server_that_moved() {
    for status in [
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ] {
        for credentials in [
            Credentials::IdentityToken("refresh".into()),
            Credentials::basic("user", "secret"),
        ] {
            let elsewhere = FakeRegistry::start(|_, _| None).await;
            let location = format!("http://{}/moved", elsewhere.address);
            let fake = with_moved_token_server(status, location).await;
            let error = pull_error_from(&fake, credentials.clone()).await;
            assert!(error.to_string().contains("token request"), "{error}");
            expect!(error, Error::Redirect { .. });
            assert!(elsewhere.seen().is_empty(), "{:?}", elsewhere.seen());

            let fake = with_moved_token_server(status, "/moved".to_owned()).await;
            let repository = registry(fake.address, credentials);
            repository.manifest(&latest()).await.expect("authorised");
        }
    }
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
