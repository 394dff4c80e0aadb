//! Answers probes, and shows metrics and the document of the API.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::header::CONTENT_TYPE;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Admin;
use crate::api::aside::aside;
use crate::api::openapi;
use crate::api::problem::{Kind, Problem};
use crate::api::responses::{PlainProblems, ProbeProblems};
use crate::runtime::metrics::OPENMETRICS;
use crate::runtime::readiness::{Check, Readiness};

/// The route that both listeners have.
pub(crate) fn liveness() -> OpenApiRouter<Arc<Readiness>> {
    OpenApiRouter::default().routes(routes!(livez))
}

/// Routes that need no token.
pub(crate) fn readiness() -> OpenApiRouter<Arc<Readiness>> {
    OpenApiRouter::default().routes(routes!(readyz))
}

pub(crate) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::default()
        .routes(routes!(metrics))
        .routes(routes!(openapi_json))
}

/// What the collector has and what it waits for.
#[derive(Debug, Serialize, ToSchema)]
struct Ready {
    /// Always true in this answer.
    ready: bool,
    checks: Vec<Check>,
}

/// Whether the collector lives
///
/// Fails only where a restart helps: when the store has refused a write. The log says why, and whoever may read the admin
/// port's `/readyz`.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "operations",
    responses((status = 200, description = "It does", content_type = "text/plain", body = String), ProbeProblems),
)]
async fn livez(State(readiness): State<Arc<Readiness>>) -> Result<&'static str, Problem> {
    match readiness.is_dead() {
        false => Ok("ok\n"),
        true => Err(Problem::new(
            Kind::Store,
            "the store has failed, and only a restart can open it anew",
        )),
    }
}

/// The routes of the port for probes, which tell whether and not why: everybody may reach it.
pub(crate) fn probes() -> Router<Arc<Readiness>> {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(is_ready))
}

async fn is_ready(State(readiness): State<Arc<Readiness>>) -> Result<&'static str, Problem> {
    match readiness.is_ready() {
        true => Ok("ok\n"),
        false => Err(Problem::new(
            Kind::NotReady,
            "GET /readyz of the admin port says what is missing",
        )),
    }
}

/// Whether the collector can answer
///
/// It can once the store is loaded and the inventory has synced, all of it. While some of the inventory cannot be used,
/// what is known is decided all the same. A filter that cannot be attached and
/// Sidecars that cannot be published are told here and change nothing: learning goes on.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    responses((status = 200, description = "It can", body = Ready), ProbeProblems),
)]
async fn readyz(State(readiness): State<Arc<Readiness>>) -> Result<Json<Ready>, Problem> {
    let checks = readiness.checks();
    match readiness.require_all() {
        Ok(()) => Ok(Json(Ready {
            ready: true,
            checks,
        })),
        Err(missing) => {
            let mut problem = Problem::new(Kind::NotReady, missing.to_string());
            problem.checks = checks;
            Err(problem)
        }
    }
}

/// Metrics in OpenMetrics text
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    responses(
        (status = 200, description = "The metrics", content_type = "application/openmetrics-text", body = String),
        PlainProblems,
    ),
)]
async fn metrics(State(admin): State<Admin>) -> Result<Response, Problem> {
    let Admin {
        view,
        metrics,
        readiness,
        ..
    } = admin;
    let text = aside(move || {
        metrics.measure(&view, &readiness);
        metrics.text().map_err(|error| {
            tracing::error!(%error, "cannot write the metrics");
            Problem::new(Kind::Internal, "the metrics cannot be written")
        })
    });
    Ok(([(CONTENT_TYPE, OPENMETRICS)], text.await?).into_response())
}

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "operations",
    responses((status = 200, description = "OpenAPI 3.1", body = Object), PlainProblems),
)]
async fn openapi_json() -> Response {
    ([(CONTENT_TYPE, "application/json")], openapi::json()).into_response()
}
