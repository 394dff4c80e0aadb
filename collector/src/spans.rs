//! Tells where the time of a first request goes: one trace from its question to the Sidecar that it leads to, over OTLP.
//!
//! Nothing is told, and nothing kept, where nobody is to be told.

use std::time::Duration;

use clap::Args;
use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use reqwest::Url;
use thiserror::Error;

use crate::runtime::flag::{is_place, number, url};

/// Time for what is to be told once the collector ends, and for each attempt to tell.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who is told of spans.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Traces")]
pub struct SpansConfig {
    /// What takes OTLP over gRPC, as in `http://otel-collector.monitoring:4317`: it is told how each first request was decided, written
    /// down and published; nobody is without it
    #[arg(long, value_name = "URL", value_parser = url, env = "LAZYMESH_OTLP_ENDPOINT", hide_env_values = true)]
    pub otlp_endpoint: Option<Url>,
    /// How many of a hundred first requests that is, where the request itself has no trace that says so
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = 100,
        value_parser = number(0..=100_u8),
        env = "LAZYMESH_OTLP_PERCENT"
    )]
    pub otlp_percent: u8,
}

/// Why nobody can be told.
#[derive(Debug, Error)]
pub enum SpansError {
    /// The URL is of something else.
    #[error("--otlp-endpoint: expected http:// with a host, and no user, password or query")]
    Endpoint,
    /// The client cannot be set up.
    #[error("--otlp-endpoint: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// Begins spans.
#[derive(Clone, Default)]
pub(crate) struct Spans(Option<Told>);

#[derive(Clone)]
struct Told {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Spans {
    /// Spans for whom the configuration names. Nothing is told yet. Within the runtime that tells.
    pub(crate) fn new(config: &SpansConfig) -> Result<Self, SpansError> {
        let Some(endpoint) = &config.otlp_endpoint else {
            return Ok(Self::default());
        };
        if endpoint.scheme() != "http" || !is_place(endpoint) {
            return Err(SpansError::Endpoint);
        }
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint.as_str())
            .with_timeout(PATIENCE)
            .build()?;
        let share = Sampler::TraceIdRatioBased(f64::from(config.otlp_percent) / 100.0);
        let attributes = [
            KeyValue::new("service.name", "lazymesh-collector"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ];
        let resource = Resource::builder_empty().with_attributes(attributes);
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(share)))
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer("lazymesh");
        Ok(Self(Some(Told { provider, tracer })))
    }

    /// The trace that a request belongs to.
    pub(crate) fn trace(&self, headers: &HeaderMap) -> Context {
        match self.0 {
            Some(_) => {
                let none = Context::new();
                TraceContextPropagator::new().extract_with_context(&none, &Headers(headers))
            }
            None => Context::new(),
        }
    }

    /// The span of a filter's request, within its trace.
    pub(crate) fn request(&self, name: &'static str, trace: &Context) -> Context {
        self.begin(name, SpanKind::Server, trace)
    }

    /// A span within another.
    pub(crate) fn child(&self, name: &'static str, parent: &Context) -> Context {
        // It may have ended by now.
        match parent.span().span_context().is_sampled() {
            true => self.begin(name, SpanKind::Internal, parent),
            false => Context::new(),
        }
    }

    fn begin(&self, name: &'static str, kind: SpanKind, parent: &Context) -> Context {
        let Some(Told { tracer, .. }) = &self.0 else {
            return Context::new();
        };
        let span = SpanBuilder::from_name(name).with_kind(kind);
        parent.with_span(span.start_with_context(tracer, parent))
    }

    /// Tells what is left to be told, if that can be done soon.
    pub(crate) async fn close(&self) {
        let Some(Told { provider, .. }) = self.0.clone() else {
            return;
        };
        let closing = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(PATIENCE));
        if let Ok(Err(error)) = closing.await {
            tracing::warn!(%error, "not all spans could be told");
        }
    }
}

/// Notes something with a span.
pub(crate) fn note(span: &Context, key: &'static str, value: impl ToString) {
    let span = span.span();
    if span.is_recording() {
        span.set_attribute(KeyValue::new(key, value.to_string()));
    }
}

/// Ends a span, and says how.
pub(crate) fn end<T, E: ToString>(span: &Context, result: &Result<T, E>) {
    let span = span.span();
    if let (true, Err(error)) = (span.is_recording(), result) {
        span.set_status(Status::error(error.to_string()));
    }
    span.end();
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
