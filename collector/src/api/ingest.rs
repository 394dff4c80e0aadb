//! What filters call.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRef, FromRequestParts, State};
use http::request::Parts;
use lazymesh_core::QuestionError;
use lazymesh_protocol::{
    MAX_REPORTS_BYTES, MAX_RESOLVE_BYTES, Protocol, Reports, ReportsResponse, ResolveRequest,
    ResolveResponse, Source,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::body::Body;
use crate::api::problem::{Kind, Problem};
use crate::api::responses::IngestProblems;
use crate::ingest::ReportError;
use crate::ingest::ResolveError;
use crate::ingest::{Evidence, IngestIdentity, Refusal};
use crate::runtime::clock::now_ms;
use crate::runtime::readiness::NotReady;
use crate::state::Collector;

/// State of the ingest routes.
#[derive(Clone)]
pub(crate) struct Ingest {
    pub(crate) collector: Arc<Collector>,
    pub(crate) identity: Arc<IngestIdentity>,
}

impl FromRef<Ingest> for Arc<Collector> {
    fn from_ref(ingest: &Ingest) -> Self {
        Self::clone(&ingest.collector)
    }
}

impl FromRequestParts<Ingest> for Evidence {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Ingest) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

impl Ingest {
    /// Whether the caller is the source's filter.
    fn check(&self, evidence: &Evidence, source: &Source) -> Result<(), Problem> {
        // An inventory that is not complete knows no pod of the caller's, which is no reason to refuse it.
        self.collector.readiness.require().map_err(not_ready)?;
        self.identity
            .check(evidence, source, &self.collector)
            .map_err(|refusal| {
                self.collector.metrics.identity_refused.inc();
                Problem::from(refusal)
            })
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
    evidence: Evidence,
    Body(request): Body<ResolveRequest, MAX_RESOLVE_BYTES>,
) -> Result<Json<ResolveResponse>, Problem> {
    ingest.check(&evidence, &request.source)?;
    ingest.collector.hear(&request.source.namespace);
    Ok(Json(ingest.collector.resolve(&request, now_ms()).await?))
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
    evidence: Evidence,
    Body(reports): Body<Reports, MAX_REPORTS_BYTES>,
) -> Result<Json<ReportsResponse>, Problem> {
    ingest.check(&evidence, &reports.source)?;
    // What counts connections says nothing about what decides requests.
    let mut protocols = reports.reports.iter().map(|report| report.protocol);
    if reports.reports.is_empty() || protocols.any(|it| it == Protocol::Http) {
        ingest.collector.hear(&reports.source.namespace);
    }
    Ok(Json(ingest.collector.report(&reports, now_ms()).await?))
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::new(Kind::Identity, refusal.to_string())
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
