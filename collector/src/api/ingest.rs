//! Takes the requests of filters.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use http::request::Parts;
use lazymesh_core::{QuestionError, Workload};
use lazymesh_protocol::{
    Decision, MAX_REPORTS_BYTES, MAX_RESOLVE_BYTES, Protocol, Reports, ReportsResponse,
    ResolveRequest, ResolveResponse,
};
use opentelemetry::Context;
use opentelemetry::trace::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::body::Body;
use crate::api::problem::{Kind, Problem};
use crate::api::responses::IngestProblems;
use crate::canary::Canaries;
use crate::ingest::{
    Admitted, Closed, Crowd, Crowded, Door, Filters, ReportError, Reporter, ResolveError, Resolver,
    Turns,
};
use crate::runtime::clock::now_ms;
use crate::runtime::readiness::{NotReady, Readiness};
use crate::spans::{self, Spans};

/// Most batches that are worked on at once; further ones are told to come back.
const BATCHES: usize = 1_024;

/// What filters' requests go through.
pub(crate) struct Stations {
    pub(crate) filters: Arc<Filters>,
    pub(crate) canaries: Arc<Canaries>,
    pub(crate) door: Door,
    pub(crate) resolver: Resolver,
    pub(crate) reporter: Reporter,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) spans: Spans,
}

/// State of the ingest routes.
#[derive(Clone)]
pub(crate) struct Ingest {
    stations: Arc<Stations>,
    slots: Arc<Semaphore>,
    turns: Arc<Turns>,
}

/// Who calls is known, and has a slot, before a byte of the body is read.
impl FromRequestParts<Ingest> for Admitted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, ingest: &Ingest) -> Result<Self, Problem> {
        Ok(ingest.stations.door.admit(&parts.headers)?)
    }
}

/// The trace that a request belongs to.
struct Trace(Context);

impl FromRequestParts<Ingest> for Trace {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, ingest: &Ingest) -> Result<Self, Infallible> {
        Ok(Self(ingest.stations.spans.trace(&parts.headers)))
    }
}

impl Ingest {
    pub(crate) fn new(stations: Stations) -> Self {
        Self {
            stations: Arc::new(stations),
            slots: Arc::new(Semaphore::new(BATCHES)),
            turns: Arc::default(),
        }
    }

    /// The right to be worked on, for a batch that has arrived: what is slow to arrive keeps nobody out.
    fn slot(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let slot = Arc::clone(&self.slots).try_acquire_owned();
        slot.map_err(|_| Problem::overloaded())
    }

    pub(crate) fn readiness(&self) -> &Arc<Readiness> {
        &self.stations.readiness
    }
}

pub(crate) fn routes() -> OpenApiRouter<Ingest> {
    OpenApiRouter::default()
        .routes(routes!(resolve))
        .routes(routes!(reports))
}

/// Decide about a host that a sidecar does not know
///
/// What the answer teaches is durable when the answer arrives.
#[utoipa::path(
    post,
    path = "/v1/resolve",
    tag = "ingest",
    request_body = ResolveRequest,
    responses((status = 200, description = "The decision", body = ResolveResponse), IngestProblems),
)]
async fn resolve(
    State(ingest): State<Ingest>,
    admitted: Admitted,
    Trace(trace): Trace,
    Body(request): Body<ResolveRequest, MAX_RESOLVE_BYTES>,
) -> Result<Json<ResolveResponse>, Problem> {
    ingest.stations.door.check(&admitted, &request.source)?;
    let Stations {
        filters,
        resolver,
        spans,
        ..
    } = &*ingest.stations;
    filters.called_from(&request.source.namespace);
    let span = spans.request("resolve", &trace);
    let answer = resolver.resolve(&request, now_ms());
    let answer = answer.with_context(span.clone()).await;
    note_resolved(&span, &request, &answer);
    Ok(Json(answer?))
}

/// Count hosts that sidecars met again
///
/// A bad item is told in the answer and never costs the others.
#[utoipa::path(
    post,
    path = "/v1/reports",
    tag = "ingest",
    request_body = Reports,
    responses((status = 200, description = "What became of the items", body = ReportsResponse), IngestProblems),
)]
async fn reports(
    State(ingest): State<Ingest>,
    admitted: Admitted,
    Trace(trace): Trace,
    Body(reports): Body<Reports, MAX_REPORTS_BYTES>,
) -> Result<Json<ReportsResponse>, Problem> {
    ingest.stations.door.check(&admitted, &reports.source)?;
    let source = &reports.source;
    let source = Workload::new(source.namespace.as_str(), source.workload.as_str());
    // A source that is not a name is told so below.
    let _turn = match &source {
        Ok(source) => Some(ingest.turns.take(source).await?),
        Err(_) => None,
    };
    let _slot = ingest.slot()?;
    let Stations {
        filters,
        canaries,
        reporter,
        spans,
        ..
    } = &*ingest.stations;
    if let Ok(source) = &source {
        if is_of_requests(&reports) {
            filters.called(source);
        }
        if let Some(trouble) = reports.trouble {
            canaries.hear(source, trouble).await;
        }
    }
    if reports.reports.is_empty() {
        return Ok(Json(reporter.report(&reports, now_ms()).await?));
    }
    let span = spans.request("report", &trace);
    let answer = reporter.report(&reports, now_ms());
    let answer = answer.with_context(span.clone()).await;
    spans::end(&span, &answer);
    Ok(Json(answer?))
}

/// Ends the span of a question.
fn note_resolved(
    span: &Context,
    request: &ResolveRequest,
    answer: &Result<ResolveResponse, ResolveError>,
) {
    spans::note(span, "k8s.namespace.name", &request.source.namespace);
    spans::note(span, "lazymesh.workload", &request.source.workload);
    if let Ok(ResolveResponse { decision, host, .. }) = answer {
        spans::note(span, "lazymesh.decision", word(decision));
        spans::note(span, "lazymesh.host", host.as_deref().unwrap_or_default());
    }
    spans::end(span, answer);
}

fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Direct { .. } => "direct",
        Decision::Hold { .. } => "hold",
        Decision::Passthrough { .. } => "passthrough",
    }
}

/// Whether they are of the filter that decides requests: the one of connections tells only what it has counted.
fn is_of_requests(reports: &Reports) -> bool {
    let counted = reports.reports.iter().map(|report| report.protocol);
    let told = reports.trouble.map(|trouble| trouble.protocol);
    let mut protocols = counted.chain(told).peekable();
    protocols.peek().is_none() || protocols.any(|it| it == Protocol::Http)
}

impl From<Crowd> for Problem {
    fn from(crowd: Crowd) -> Self {
        Self::new(Kind::Overloaded, crowd.to_string())
    }
}

impl From<Closed> for Problem {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::NotReady(missing) => not_ready(missing),
            Closed::Refused(refusal) => Self::new(Kind::Identity, refusal.to_string()),
            Closed::Crowded(crowded) => crowded.into(),
        }
    }
}

impl From<Crowded> for Problem {
    fn from(crowded: Crowded) -> Self {
        Self::new(Kind::Overloaded, crowded.to_string())
    }
}

impl From<QuestionError> for Problem {
    fn from(error: QuestionError) -> Self {
        Self::field(error.field(), error.to_string())
    }
}

fn not_ready(missing: NotReady) -> Problem {
    Problem::new(Kind::NotReady, missing.to_string())
}

/// Callers learn that it failed, the log why: paths and disks are none of their business.
fn not_written() -> Problem {
    Problem::new(
        Kind::Store,
        "what was learned could not be written down, so it was not recorded",
    )
}

impl From<ResolveError> for Problem {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::NotReady(missing) => not_ready(missing),
            ResolveError::Question(error) => error.into(),
            ResolveError::Crowded => Self::new(Kind::Overloaded, error.to_string()),
            ResolveError::Store(_) => not_written(),
        }
    }
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::NotReady(missing) => not_ready(missing),
            ReportError::Source(error) => error.into(),
            ReportError::TooMany(_) => Self::field("reports", error.to_string()),
            ReportError::Store(_) => not_written(),
        }
    }
}
