//! Has canaries that failed tried again.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Admin;
use crate::api::extract::Namespace;
use crate::api::problem::{Kind, Problem};
use crate::api::responses::ItemProblems;
use crate::canary::Canaries;

pub(crate) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::default().routes(routes!(resume))
}

/// Try a canary again
///
/// One that failed, so that its namespace has its full scope. What went wrong until now does not count.
#[utoipa::path(
    delete,
    path = "/v1/reverts/{namespace}",
    operation_id = "resume_canary",
    tag = "sidecars",
    params(("namespace" = String, Path, description = "Kubernetes namespace")),
    responses((status = 204, description = "Its workloads are enforced as the namespace's label says"), ItemProblems),
)]
async fn resume(
    State(canaries): State<Arc<Canaries>>,
    Namespace(namespace): Namespace,
) -> Result<StatusCode, Problem> {
    match canaries.resume(namespace).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => Err(Problem::new(
            Kind::NotFound,
            "no canary has failed in such a namespace",
        )),
        Err(_) => Err(Problem::new(
            Kind::Store,
            "the store failed, so it may not be tried again",
        )),
    }
}
