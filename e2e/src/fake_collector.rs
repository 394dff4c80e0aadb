//! A collector that misbehaves: what no real one can be made to do on demand.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use bytes::Bytes;
use futures::stream;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use lazymesh_protocol::{Decision, RESOLVE_PATH, ResolveResponse};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// What it does with every request.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Answers well.
    Answer {
        /// What.
        decision: Decision,
        /// After so long.
        delay: Duration,
        /// How long the filter may use it.
        ttl: Duration,
    },
    /// Answers with this status and nothing else.
    Status(u16),
    /// Answers 200 with this body.
    Body(&'static [u8]),
    /// Answers 200 with this many bytes of JSON that never closes.
    Huge(u64),
    /// Reads a request, then resets the connection.
    Reset,
    /// Reads a request, answers 200 with headers, then closes the connection before the body has come.
    CutShort,
}

impl Behaviour {
    /// Answers well, after a while, and for the length of a scenario.
    #[must_use]
    pub fn answer(decision: Decision, delay: Duration) -> Self {
        Self::Answer {
            decision,
            delay,
            ttl: Duration::from_secs(60),
        }
    }
}

/// The running fake. It stops when dropped.
pub struct FakeCollector {
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    behaviour: Mutex<Behaviour>,
    questions: AtomicU64,
}

impl FakeCollector {
    /// Listens.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn start(address: SocketAddr, behaviour: Behaviour) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(behaviour),
            questions: AtomicU64::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self { shared, task })
    }

    /// Behaves otherwise from the next request on.
    pub fn behave(&self, behaviour: Behaviour) {
        *self
            .shared
            .behaviour
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = behaviour;
    }

    /// Questions so far that were read whole.
    #[must_use]
    pub fn questions(&self) -> u64 {
        self.shared.questions.load(Ordering::Relaxed)
    }
}

impl Drop for FakeCollector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn behaviour(&self) -> Behaviour {
        self.behaviour
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, Arc::clone(&shared)));
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    match shared.behaviour() {
        Behaviour::Reset => return reset(stream).await,
        Behaviour::CutShort => return cut_short(stream).await,
        _ => {}
    }
    let service = service_fn(|request| answer(request, &shared));
    // Envoy may break off: that is what many scenarios are about.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn reset(mut stream: TcpStream) {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await;
    // Closing with a zero linger time is what sends a reset.
    let _ = stream.set_zero_linger();
}

async fn cut_short(mut stream: TcpStream) {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await;
    let _ = stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
        .await;
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

async fn answer(request: Request<Incoming>, shared: &Shared) -> hyper::Result<Response<Body>> {
    let asks = request.uri().path() == RESOLVE_PATH;
    request.into_body().collect().await?;
    shared
        .questions
        .fetch_add(u64::from(asks), Ordering::Relaxed);
    let (status, body) = match shared.behaviour() {
        Behaviour::Answer {
            decision,
            delay,
            ttl,
        } => {
            tokio::time::sleep(delay).await;
            (200, whole(response(decision, ttl)))
        }
        Behaviour::Status(status) => (status, whole(Bytes::new())),
        Behaviour::Body(bytes) => (200, whole(Bytes::from_static(bytes))),
        Behaviour::Huge(bytes) => (200, huge(bytes)),
        Behaviour::Reset | Behaviour::CutShort => (500, whole(Bytes::new())),
    };
    let mut response = Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

fn response(decision: Decision, ttl: Duration) -> Bytes {
    let response = ResolveResponse {
        decision,
        host: None,
        ttl_ms: u32::try_from(ttl.as_millis()).unwrap_or(u32::MAX),
    };
    serde_json::to_vec(&response).unwrap_or_default().into()
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).boxed_unsync()
}

fn huge(bytes: u64) -> Body {
    const CHUNK: &[u8] = &[b'['; 64 * 1024];
    let chunks = bytes.div_ceil(CHUNK.len() as u64);
    let frames = (0..chunks).map(|_| Ok(Frame::data(Bytes::from_static(CHUNK))));
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}
