//! The application behind the sidecar, and plain HTTP for the harness's own look-ups.

mod answer;
mod dial;
mod forward;
mod grpc;
mod plain;
mod web_socket;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::Body;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};

pub use answer::Answer;
pub use dial::{Dialer, Names};
pub use forward::forward;
pub use plain::Plain;

/// Longest a request may take in any scenario.
const TIMEOUT: Duration = Duration::from_secs(30);

type AnyBody = UnsyncBoxBody<Bytes, anyhow::Error>;

/// An application that makes HTTP requests through its sidecar.
#[derive(Clone)]
pub struct Client {
    dialer: Dialer,
    http: legacy::Client<Dialer, AnyBody>,
}

impl Client {
    /// A client whose every connection goes through this dialer; connections are kept and used again.
    #[must_use]
    pub fn new(dialer: Dialer) -> Self {
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(dialer.clone());
        Self { dialer, http }
    }

    /// A client that speaks HTTP/2 with prior knowledge, over one connection.
    #[must_use]
    pub fn http2(dialer: Dialer) -> Self {
        let http = legacy::Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build(dialer.clone());
        Self { dialer, http }
    }

    /// The dialer, for protocols of one's own.
    #[must_use]
    pub fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// `GET url`.
    ///
    /// # Errors
    /// When there is no answer within 30 s; a bad status is an answer.
    pub async fn get(&self, url: &str) -> Result<Answer> {
        let request = Request::get(url).body(Full::new(Bytes::new()))?;
        self.send(request).await
    }

    /// Any request.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn send<B>(&self, request: Request<B>) -> Result<Answer>
    where
        B: Body<Data = Bytes, Error: Into<anyhow::Error>> + Send + 'static,
    {
        self.send_within(request, TIMEOUT).await
    }

    /// Any request, with another time-out.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn send_within<B>(&self, request: Request<B>, timeout: Duration) -> Result<Answer>
    where
        B: Body<Data = Bytes, Error: Into<anyhow::Error>> + Send + 'static,
    {
        let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        let url = request.uri().clone();
        let started = Instant::now();
        let exchange = async {
            let response = self.http.request(request).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            anyhow::Ok(Answer {
                status: head.status,
                headers: head.headers,
                body,
                elapsed: started.elapsed(),
            })
        };
        tokio::time::timeout(timeout, exchange)
            .await
            .with_context(|| format!("{url}: no answer within {timeout:?}"))?
            .with_context(|| url.to_string())
    }
}
