//! gRPC, as every gRPC server has it: the health service, asked once or watched.
//!
//! Its answers say nothing about the request, so what an answer to HTTP has in its body is in a field of their header.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, header::CONTENT_TYPE},
    response::Response,
};
use clap::Args;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use lazymesh_e2e::lab::{Echo, Reply};
use tokio::{select, task::JoinHandle};
use tonic::metadata::MetadataMap;
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient, health_server::HealthServer},
    server::{HealthReporter, HealthService},
};
use tower::Service;

/// A service whose status changes again and again, so that watching it is an endless stream.
const RESTLESS: &str = "restless";
const EVERY: Duration = Duration::from_millis(50);
const ECHO: &str = "x-echo";

/// Answers gRPC.
#[derive(Clone)]
pub(super) struct Server {
    health: HealthServer<HealthService>,
}

impl Server {
    /// Must be called within a runtime.
    pub(super) fn new() -> Self {
        let reporter = HealthReporter::new();
        change(reporter.clone());
        Self {
            health: HealthServer::new(HealthService::from_health_reporter(reporter)),
        }
    }

    pub(super) async fn answer(&mut self, request: Request, echo: &Echo) -> Response {
        let Ok(mut response): Result<_, Infallible> = self.health.call(request).await;
        let echo = serde_json::to_string(echo).unwrap_or_default();
        if let Ok(echo) = HeaderValue::from_str(&echo) {
            response.headers_mut().insert(ECHO, echo);
        }
        response.map(Body::new)
    }
}

pub(super) fn is_grpc(request: &Request) -> bool {
    let kind = request.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

fn change(reporter: HealthReporter) -> JoinHandle<Infallible> {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            for status in [ServingStatus::Serving, ServingStatus::NotServing] {
                ticks.tick().await;
                reporter.set_service_status(RESTLESS, status).await;
            }
        }
    })
}

/// A gRPC call.
#[derive(Args)]
pub(super) struct Call {
    /// Scheme, host and port
    origin: String,
    /// A stream of the server's that does not end; ends with our input
    #[arg(long)]
    stream: bool,
}

impl Call {
    /// Prints each answer as JSON.
    pub(super) async fn make(self) -> Result<()> {
        let http = Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build::<_, tonic::body::Body>(HttpConnector::new());
        let mut health = HealthClient::with_origin(http, self.origin.parse()?);
        let start = Instant::now();
        if !self.stream {
            let answer = health.check(HealthCheckRequest::default()).await?;
            return super::print(&reply(answer.metadata(), start)?);
        }
        let service = RESTLESS.to_owned();
        let answer = health.watch(HealthCheckRequest { service }).await?;
        let reply = reply(answer.metadata(), start)?;
        let mut stream = answer.into_inner();
        let (mut input, mut nowhere) = (tokio::io::stdin(), tokio::io::sink());
        let mut end = std::pin::pin!(tokio::io::copy(&mut input, &mut nowhere));
        loop {
            select! {
                message = stream.message() => {
                    ensure!(message?.is_some(), "the server ended the stream");
                    super::print(&reply)?;
                }
                end = &mut end => return end.map(drop).context("cannot read our input"),
            }
        }
    }
}

fn reply(metadata: &MetadataMap, start: Instant) -> Result<Reply> {
    let headers = super::joined(metadata.as_ref());
    let body = headers.get(ECHO).context("somebody else answered")?.clone();
    Ok(Reply {
        // tonic makes every other status an error.
        status: 200,
        headers,
        body,
        milliseconds: start.elapsed().as_secs_f64() * 1e3,
    })
}
