use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hyper_util::{client::legacy, rt::TokioExecutor};
use tonic::{Code, Status};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{Client, TIMEOUT};

impl Client {
    /// A unary gRPC call, on a connection of its own: is the server at `origin` serving? Says how long it took.
    ///
    /// # Errors
    /// The gRPC status, or that the server is not serving.
    pub async fn grpc_check(&self, origin: &str) -> Result<Duration> {
        let http = legacy::Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build(self.dialer.clone());
        let mut client = HealthClient::with_origin(http, origin.parse()?);
        let started = Instant::now();
        let reply = tokio::time::timeout(TIMEOUT, client.check(HealthCheckRequest::default()))
            .await
            .with_context(|| format!("{origin}: no gRPC answer within {TIMEOUT:?}"))?
            .and_then(|reply| match reply.into_inner().status() {
                ServingStatus::Serving => Ok(started.elapsed()),
                other => Err(Status::new(Code::Unavailable, other.as_str_name())),
            });
        reply.with_context(|| format!("gRPC to {origin}"))
    }
}
