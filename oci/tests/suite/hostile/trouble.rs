//! Registries that are busy, broken, or not there.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};
use lazymesh_oci::{Credentials, Error, Repository as _};

use super::{endless, latest, pull_error};
use crate::support::{FakeRegistry, Seen, artifact, module, registry, with};

/// A registry that answers with `status` the first `times` times, and with `after` as `Retry-After`.
fn slow_down(
    status: StatusCode,
    times: u32,
    after: impl Into<String>,
) -> impl Fn(&Seen, &HeaderMap) -> Option<Response<Body>> {
    let (count, after) = (AtomicU32::new(0), after.into());
    move |_, _| {
        let busy = count.fetch_add(1, Ordering::Relaxed) < times;
        busy.then(|| with(status, &[("retry-after", &after)], ""))
    }
}

const BUSY: [StatusCode; 2] = [
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// In so many seconds, as HTTP writes it.
fn date(seconds: u64) -> String {
    httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(seconds))
}

async fn waits_a_second(status: StatusCode, after: String) {
    let start = Instant::now();
    let fake = FakeRegistry::start(slow_down(status, 1, after)).await;
    fake.holds(&artifact(module(1000)));
    registry(fake.address, Credentials::Anonymous)
        .manifest(&latest())
        .await
        .expect("the second time");
    assert!(start.elapsed() >= Duration::from_millis(900));
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    for status in BUSY {
        waits_a_second(status, "1".to_owned()).await;
        // A date has no fractions of a second, so it is one to two away.
        waits_a_second(status, date(2)).await;
    }
}

#[tokio::test]
async fn retry_after_beyond_our_patience() {
    for status in BUSY {
        for after in ["3600".to_owned(), date(3600)] {
            let start = Instant::now();
            expect!(
                pull_error(slow_down(status, u32::MAX, after)).await,
                Error::TooManyRequests {
                    retry_after: Some(_),
                    ..
                }
            );
            assert!(start.elapsed() < Duration::from_secs(1));
        }
        expect!(
            pull_error(slow_down(status, u32::MAX, "0")).await,
            Error::TooManyRequests { .. }
        );
    }
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
