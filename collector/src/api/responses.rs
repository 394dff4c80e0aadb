//! Which problems a route may answer with, for the OpenAPI document.

use std::collections::BTreeMap;

use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{ContentBuilder, Ref, RefOr};
use utoipa::{IntoResponses, ToSchema};

use crate::api::problem::{PROBLEM_JSON, Problem};

/// Problems of the routes that filters call.
pub(crate) struct IngestProblems;
/// Problems of lists.
pub(crate) struct ListProblems;
/// Problems of single things.
pub(crate) struct ItemProblems;
/// Problems of routes without parameters.
pub(crate) struct PlainProblems;
/// Problems of the probes.
pub(crate) struct ProbeProblems;

impl IntoResponses for IngestProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[400, 403, 408, 413, 415, 421, 422, 503])
    }
}

impl IntoResponses for ListProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[400, 401, 421, 422, 503])
    }
}

impl IntoResponses for ItemProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[400, 401, 404, 421, 422, 503])
    }
}

impl IntoResponses for PlainProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[401, 421, 503])
    }
}

impl IntoResponses for ProbeProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[421, 503])
    }
}

fn problems(statuses: &[u16]) -> BTreeMap<String, RefOr<Response>> {
    statuses
        .iter()
        .map(|status| (status.to_string(), RefOr::T(problem(*status))))
        .collect()
}

fn problem(status: u16) -> Response {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(Problem::name())))
        .build();
    ResponseBuilder::new()
        .description(meaning(status))
        .content(PROBLEM_JSON, content)
        .build()
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "The body is not JSON, or path or query cannot be read",
        401 => "The bearer token is missing or wrong",
        403 => "The caller may not speak for that workload",
        404 => "There is no such thing",
        408 => "The body took too long to arrive",
        413 => "The body is too large",
        415 => "The body is not application/json",
        421 => "The request is for another host",
        422 => "A value is not valid; `field` names it",
        _ => "Not now; ask again after the seconds in `retry-after`",
    }
}
