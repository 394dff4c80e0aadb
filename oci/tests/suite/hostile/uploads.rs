//! Registries that misbehave while something is stored in them.

use axum::body::Body;
use axum::http::{Method, Response, StatusCode};
use lazymesh_oci::{Credentials, Error, Pushed, push};

use super::endless;
use crate::support::{FakeRegistry, Seen, artifact, module, registry, with};

/// Pushes to a registry that answers `method` as it likes.
async fn pushed(
    method: Method,
    answer: impl Fn() -> Response<Body> + Send + Sync + 'static,
) -> Result<Pushed, Error> {
    let fake =
        FakeRegistry::start(move |seen: &Seen, _| (seen.method == method).then(&answer)).await;
    let repository = registry(fake.address, Credentials::Anonymous);
    push(&repository, "1.2.3", &artifact(module(1000)), &|_, _| {}).await
}

#[tokio::test]
async fn explanations_without_end() {
    for method in [Method::POST, Method::PUT] {
        let broken = pushed(method, || with(StatusCode::BAD_GATEWAY, &[], endless())).await;
        expect!(
            broken.expect_err("refused"),
            Error::Status { status: 502, .. }
        );
    }
}

#[tokio::test]
async fn refusals_without_end() {
    let challenge = [("www-authenticate", "Basic realm=\"test\"")];
    let refused = pushed(Method::PUT, move || {
        with(StatusCode::UNAUTHORIZED, &challenge, "")
    })
    .await;
    expect!(refused.expect_err("refused"), Error::Unauthorized { .. });
}

#[tokio::test]
async fn busy_beyond_our_patience() {
    let later = [("retry-after", "3600")];
    let busy = pushed(Method::POST, move || {
        with(StatusCode::TOO_MANY_REQUESTS, &later, "")
    })
    .await;
    expect!(
        busy.expect_err("refused"),
        Error::TooManyRequests {
            retry_after: Some(_),
            ..
        }
    );
}

#[tokio::test]
async fn redirects_in_a_circle() {
    let back = [("location", "/v2/lazymesh/filter/blobs/uploads/")];
    let circle = pushed(Method::POST, move || {
        with(StatusCode::TEMPORARY_REDIRECT, &back, "")
    })
    .await;
    expect!(circle.expect_err("refused"), Error::Redirect { .. });
}
