//! A first request is one trace, from its question to the Sidecar that it leads to, as a receiver of OTLP gets it.

use std::sync::Arc;

use axum::Router;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

use crate::mesh::Mesh;
use crate::publishing::until_published;
use crate::running::{Running, config, until};

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A receiver of OTLP.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let scopes = resources.flat_map(|it| it.scope_spans);
        self.0.lock().extend(scopes.flat_map(|it| it.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Receiver {
    /// Serves, and gives the flag that names it.
    async fn start() -> (Self, String) {
        let receiver = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let service = TraceServiceServer::new(receiver.clone());
        let router = Router::new().route_service(EXPORT, service);
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, format!("--otlp-endpoint=http://{address}"))
    }

    fn span(&self, name: &str) -> Option<Span> {
        let spans = self.0.lock();
        spans.iter().find(|it| it.name == name).cloned()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_request_is_one_trace() {
    let (receiver, flag) = Receiver::start().await;
    let mesh = Mesh::new();
    let collector = Running::start_with(&mesh, &[&flag]).await;
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    collector.resolve_in(&traceparent, "web", "reviews").await;
    until_published(&mesh, "lazymesh-web", "reviews").await;
    until("the Sidecar is told", async || {
        receiver.span("publish").is_some()
    })
    .await;
    collector.stop().await.expect("a clean end");

    let span = |name: &str| receiver.span(name).unwrap_or_else(|| panic!("no {name}"));
    let resolve = span("resolve");
    assert_eq!(hex(&resolve.parent_span_id), PARENT);
    for name in ["commit", "publish"] {
        let child = span(name);
        assert_eq!(child.parent_span_id, resolve.span_id, "{name}");
        assert_eq!(hex(&child.trace_id), TRACE, "{name}");
        assert!(child.end_time_unix_nano > child.start_time_unix_nano);
    }
    let told = format!("{:?}", resolve.attributes);
    for expect in [
        "lazymesh.workload",
        "lazymesh.decision",
        "shop/reviews.shop.svc",
    ] {
        assert!(told.contains(expect), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_that_a_trace_is_not_told_has_none() {
    let (receiver, flag) = Receiver::start().await;
    let mesh = Mesh::new();
    let collector = Running::start_with(&mesh, &[&flag]).await;
    let traceparent = format!("00-{TRACE}-{PARENT}-00");
    collector.resolve_in(&traceparent, "web", "reviews").await;
    collector.resolve_in("nonsense", "cart", "reviews").await;
    collector.stop().await.expect("a clean end");
    let spans = receiver.0.lock();
    assert!(!spans.is_empty(), "the other is");
    assert!(
        spans.iter().all(|it| hex(&it.trace_id) != TRACE),
        "{spans:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_not_there_stops_nothing() {
    let mesh = Mesh::new();
    let collector = Running::start_with(&mesh, &["--otlp-endpoint=http://127.0.0.1:1"]).await;
    collector.resolve("web", "reviews").await;
    until_published(&mesh, "lazymesh-web", "reviews").await;
    collector.stop().await.expect("a clean end");
    for url in ["https://a", "http://user:word@a", "http://a?b=c"] {
        let flag = format!("--otlp-endpoint={url}");
        let started = lazymesh_collector::Server::start(config(&mesh, &[&flag])).await;
        let error = started.err().expect("an error").to_string();
        assert!(error.contains("expected http:// with a host"), "{error}");
    }
}
