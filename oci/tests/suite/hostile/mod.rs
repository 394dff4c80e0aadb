//! A registry that lies, stalls and floods: each time one clear error, within the limits, and no file.

/// One error of the right kind, short enough to be read.
macro_rules! expect {
    ($error:expr, $pattern:pat) => {{
        let error = $error;
        assert!(matches!(error, $pattern), "{error:?}");
        assert!(error.to_string().len() < 500, "{error}");
    }};
}

mod blobs;
mod credentials;
mod manifests;
mod trouble;
mod uploads;

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Response};
use futures::stream::{self, StreamExt as _};
use lazymesh_oci::{Credentials, Error, Pointer, pull};

use crate::support::{FakeRegistry, Seen, artifact, limits, module, registry};

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

fn is_blob(seen: &Seen) -> bool {
    seen.method == Method::GET && seen.path.contains("/blobs/")
}

fn is_manifest(seen: &Seen) -> bool {
    seen.path.contains("/manifests/")
}

fn endless() -> Body {
    Body::from_stream(stream::repeat(Bytes::from_static(&[0; 65_536])).map(Ok::<_, Infallible>))
}
