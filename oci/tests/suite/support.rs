//! What the tests share: a module, and a registry in memory that can be told to misbehave.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use lazymesh_oci::{
    Artifact, Credentials, Digest, Document, Limits, Metadata, Registry, RegistryOptions, Variant,
};

/// The smallest module, with a custom section of `size` bytes to make it as large as a test wants.
pub(crate) fn module(size: usize) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0\0".to_vec();
    let mut length = size + 2;
    loop {
        let low = (length & 0x7f) as u8;
        length >>= 7;
        module.push(if length == 0 { low } else { low | 0x80 });
        if length == 0 {
            break;
        }
    }
    module.extend(b"\x01x");
    module.extend(std::iter::repeat_n(7, size));
    module
}

pub(crate) fn artifact(module: Vec<u8>) -> Artifact {
    let metadata = Metadata {
        title: "filter.wasm".to_owned(),
        version: Some("1.2.3".to_owned()),
        ..Metadata::default()
    };
    Artifact::pack(module, &metadata, Variant::Wasm).expect("a module")
}

/// A bill of materials of `module`.
pub(crate) fn sbom(module: &[u8]) -> Document {
    let bill = format!(
        r#"{{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{{"component":{{"type":"file","name":"filter","hashes":[{{"alg":"SHA-256","content":"{}"}}]}}}}}}"#,
        Digest::of(module).hex()
    );
    let about = Document::about(&Digest::of(module), "filter", bill);
    about.expect("a bill of materials").0
}

/// Limits for tests: small, so that running into them takes no time.
pub(crate) fn limits() -> Limits {
    Limits {
        module_bytes: 1 << 20,
        attempts: 2,
        idle: Duration::from_secs(2),
        total: Duration::from_secs(4),
        retry_after: Duration::from_secs(2),
        ..Limits::default()
    }
}

pub(crate) fn registry(at: SocketAddr, credentials: Credentials) -> Registry {
    let options = RegistryOptions {
        credentials,
        plain_http: true,
        ca: None,
        limits: limits(),
    };
    Registry::new(&at.to_string(), "lazymesh/filter", options).expect("a client")
}

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

/// Runs a program that the tests need, of the given package; its output.
pub(crate) fn run(command: &mut Command, package: &str) -> String {
    let output = command.output();
    let missing = || format!("{command:?} must be there: {package}");
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", missing()));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
