use std::{collections::BTreeMap, convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};
use tonic_health::{
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};
use tower::Service as _;

use super::{Call, Ledger};

type Body = UnsyncBoxBody<Bytes, tonic::Status>;

/// What a backend saw of a request; the answer to all requests that ask for nothing special.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Echo {
    /// The backend's name.
    pub service: String,
    /// SPIFFE identity of the caller; `None` over plain text.
    pub peer: Option<String>,
    /// The backend's address that was called.
    pub address: SocketAddr,
    /// The request's headers.
    pub headers: BTreeMap<String, String>,
}

/// `/ok` answers two bytes, for benchmarks; `/upload` counts what it is sent; the rest is an [`Echo`].
pub(super) async fn handle(
    request: Request<Incoming>,
    call: Call,
    ledger: Arc<Ledger>,
) -> Result<Response<Body>, Infallible> {
    ledger.record(&call);
    if is(&request, header::CONTENT_TYPE, "application/grpc") {
        return health(request).await;
    }
    if is(&request, header::UPGRADE, "websocket") {
        return Ok(web_socket(request));
    }
    Ok(match request.uri().path() {
        "/ok" => text("ok".to_owned()),
        "/upload" => match count(request.into_body()).await {
            Ok(bytes) => text(bytes.to_string()),
            Err(error) => status(StatusCode::BAD_REQUEST, error.to_string()),
        },
        _ => echo(&request, call, ledger.name()),
    })
}

fn is(request: &Request<Incoming>, name: header::HeaderName, prefix: &str) -> bool {
    request
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.to_ascii_lowercase().starts_with(prefix))
}

async fn health(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    // A new reporter says "serving" of the server as a whole, which is all that is asked here.
    let service = HealthService::from_health_reporter(HealthReporter::new());
    let response = HealthServer::new(service).call(request).await?;
    Ok(response.map(BodyExt::boxed_unsync))
}

fn web_socket(mut request: Request<Incoming>) -> Response<Body> {
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        return status(StatusCode::BAD_REQUEST, "no Sec-WebSocket-Key".to_owned());
    };
    let accept = derive_accept_key(key.as_bytes());
    tokio::spawn(async move {
        if let Ok(upgraded) = hyper::upgrade::on(&mut request).await {
            echo_messages(TokioIo::new(upgraded)).await;
        }
    });
    let mut response = status(StatusCode::SWITCHING_PROTOCOLS, String::new());
    let headers = response.headers_mut();
    headers.insert(
        header::CONNECTION,
        header::HeaderValue::from_static("upgrade"),
    );
    headers.insert(
        header::UPGRADE,
        header::HeaderValue::from_static("websocket"),
    );
    if let Ok(accept) = accept.parse() {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

async fn echo_messages(io: TokioIo<hyper::upgrade::Upgraded>) {
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
    while let Some(Ok(message)) = socket.next().await {
        if !(message.is_text() || message.is_binary()) {
            continue;
        }
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn count(mut body: Incoming) -> hyper::Result<u64> {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, |data| data.len() as u64);
    }
    Ok(bytes)
}

fn echo(request: &Request<Incoming>, call: Call, service: &str) -> Response<Body> {
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let echo = Echo {
        service: service.to_owned(),
        peer: call.peer,
        address: call.address,
        headers,
    };
    match serde_json::to_string(&echo) {
        Ok(json) => text(json),
        Err(error) => status(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn text(body: String) -> Response<Body> {
    status(StatusCode::OK, body)
}

fn status(status: StatusCode, body: String) -> Response<Body> {
    let body = Full::new(Bytes::from(body)).map_err(|never: Infallible| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    response
}
