//! The OpenAPI document, generated from the handlers.

mod answer;
mod security;

use std::sync::LazyLock;

use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;

use crate::api::events::EventView;
use crate::api::problem::Problem;
use crate::api::{admin_routes, described_probes, ingest};
use crate::runtime::readiness::Check;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "lazymesh collector",
        description = "Ingest routes (`ingest`) are on the ingest port, all others on the admin port; `/livez` is on both. \
            Every error is an RFC 9457 problem document.",
    ),
    components(schemas(Problem, Check, EventView)),
    tags(
        (name = "ingest", description = "What filters call"),
        (name = "graph", description = "Who depends on what"),
        (name = "sidecars", description = "What lazymesh publishes"),
        (name = "operations", description = "Probes, metrics, this document"),
    ),
)]
struct Api;

/// Every route of both listeners.
#[must_use]
pub fn document() -> Document {
    let (_, mut ingest) = ingest::routes().split_for_parts();
    let (_, mut admin) = admin_routes().split_for_parts();
    let (_, probes) = described_probes().split_for_parts();
    security::require(&mut ingest, security::MESH);
    security::require(&mut admin, security::TOKEN);
    let mut document = Api::openapi();
    document.merge(ingest);
    document.merge(admin);
    document.merge(probes);
    if let Some(components) = &mut document.components {
        security::describe(components);
        answer::lay_out(components);
    }
    document
}

/// The document as JSON, rendered once.
pub(crate) fn json() -> &'static str {
    static JSON: LazyLock<String> = LazyLock::new(|| document().to_json().unwrap_or_default());
    &JSON
}
