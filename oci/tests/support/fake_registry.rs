//! Serves a registry from memory, which can be told to misbehave.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use lazymesh_oci::{Artifact, Digest};

/// A request as the registry saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) range: Option<String>,
}

type Answer = Arc<dyn Fn(&Seen, &HeaderMap) -> Option<Response<Body>> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct FakeRegistry {
    pub(crate) address: SocketAddr,
    state: Arc<Inner>,
}

struct Inner {
    contents: Mutex<HashMap<String, (String, Bytes)>>,
    seen: Mutex<Vec<Seen>>,
    misbehave: Answer,
}

impl FakeRegistry {
    /// A registry that answers as `misbehave` says, and well where it says nothing.
    pub(crate) async fn start(
        misbehave: impl Fn(&Seen, &HeaderMap) -> Option<Response<Body>> + Send + Sync + 'static,
    ) -> Self {
        let state = Arc::new(Inner {
            contents: Mutex::default(),
            seen: Mutex::default(),
            misbehave: Arc::new(misbehave),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("bound");
        let router = Router::new().fallback(serve).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    pub(crate) fn holds(&self, artifact: &Artifact) {
        for (blob, bytes) in artifact.blobs() {
            self.put(
                &format!("blobs/{}", blob.digest),
                "application/octet-stream",
                bytes.clone(),
            );
        }
        let manifest = artifact.manifest();
        for name in ["latest".to_owned(), manifest.digest().to_string()] {
            self.put(
                &format!("manifests/{name}"),
                &manifest.media_type,
                manifest.bytes.clone(),
            );
        }
    }

    pub(crate) fn put(&self, path: &str, media_type: &str, bytes: Bytes) {
        let path = format!("/v2/lazymesh/filter/{path}");
        self.state
            .contents
            .lock()
            .expect("unpoisoned")
            .insert(path, (media_type.to_owned(), bytes));
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().expect("unpoisoned").clone()
    }

    pub(crate) fn writes(&self) -> usize {
        self.seen()
            .iter()
            .filter(|seen| seen.method == Method::PUT)
            .count()
    }
}

async fn serve(State(state): State<Arc<Inner>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let header = |name| Some(parts.headers.get(name)?.to_str().ok()?.to_owned());
    let seen = Seen {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        authorization: header("authorization"),
        range: header("range"),
    };
    state.seen.lock().expect("unpoisoned").push(seen.clone());
    if let Some(answer) = (state.misbehave)(&seen, &parts.headers) {
        return answer;
    }
    let body = axum::body::to_bytes(body, 16 << 20).await.expect("a body");
    match seen.method {
        Method::POST => with(
            StatusCode::ACCEPTED,
            &[("location", "/v2/lazymesh/filter/blobs/uploads/1")],
            "",
        ),
        Method::PUT => store(&state, &parts.uri, &parts.headers, body),
        _ => fetch(&state, &seen),
    }
}

fn store(state: &Inner, uri: &Uri, headers: &HeaderMap, body: Bytes) -> Response<Body> {
    let kind = headers
        .get("content-type")
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let digest = Digest::of(&body);
    let path = match uri.query() {
        Some(_) => vec![format!("/v2/lazymesh/filter/blobs/{digest}")],
        None => vec![
            uri.path().to_owned(),
            format!("/v2/lazymesh/filter/manifests/{digest}"),
        ],
    };
    for path in path {
        state
            .contents
            .lock()
            .expect("unpoisoned")
            .insert(path, (kind.clone(), body.clone()));
    }
    with(StatusCode::CREATED, &[("location", uri.path())], "")
}

fn fetch(state: &Inner, seen: &Seen) -> Response<Body> {
    let contents = state.contents.lock().expect("unpoisoned");
    let Some((kind, bytes)) = contents.get(&seen.path) else {
        return with(StatusCode::NOT_FOUND, &[], "");
    };
    let range = seen.range.as_deref().and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    });
    let (status, from) = range.map_or((StatusCode::OK, 0), |from: usize| {
        (StatusCode::PARTIAL_CONTENT, from)
    });
    with(status, &[("content-type", kind)], bytes.slice(from..))
}

pub(crate) fn with(
    status: StatusCode,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Response<Body> {
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(body.into()).expect("a response")
}
