//! Requests to ports inside a sandbox, past every proxy: Envoy's admin port, istiod's debug port, readiness.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;

use super::{network::connect, sandbox::Sandbox};

/// A local answer that takes longer than this will not come.
const PATIENCE: Duration = Duration::from_secs(30);

/// The body of an answer with a status of 2xx.
pub(super) async fn get(sandbox: &Sandbox, to: SocketAddr, path: &str) -> Result<String> {
    request(sandbox, to, Method::GET, path).await
}

/// As [`get`], with another method.
pub(super) async fn request(
    sandbox: &Sandbox,
    to: SocketAddr,
    method: Method,
    path: &str,
) -> Result<String> {
    tokio::time::timeout(PATIENCE, send(sandbox, to, method, path))
        .await
        .with_context(|| format!("no answer to {path} from {to}"))?
        .with_context(|| format!("{path} of {to}"))
}

async fn send(sandbox: &Sandbox, to: SocketAddr, method: Method, path: &str) -> Result<String> {
    let stream = connect(sandbox, to).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, to.to_string())
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    let body = String::from_utf8_lossy(&body).into_owned();
    ensure!(status.is_success(), "{status}: {body}");
    Ok(body)
}
