//! Shows the whole graph at once, for programs and for eyes.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use http::header::CONTENT_TYPE;
use lazymesh_core::Picture;
use serde::Deserialize;
use tokio::task::{JoinError, spawn_blocking};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Admin;
use crate::api::extract::Query;
use crate::api::problem::Problem;
use crate::api::responses::ListProblems;
use crate::api::views::{DependencyView, ExternalHostView};
use crate::api::walk::Walk;
use crate::state::SharedView;

const JSON: &str = "application/json";
const DOT: &str = "text/vnd.graphviz; charset=utf-8";
const MERMAID: &str = "text/vnd.mermaid; charset=utf-8";

pub(crate) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::default().routes(routes!(graph))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct GraphQuery {
    /// What the graph is written in; JSON by default.
    #[param(value_type = Option<Format>, inline)]
    format: Option<String>,
}

#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
enum Format {
    Json,
    Dot,
    Mermaid,
}

impl Format {
    fn parse(text: Option<&str>) -> Result<Self, Problem> {
        match text {
            None | Some("json") => Ok(Self::Json),
            Some("dot") => Ok(Self::Dot),
            Some("mermaid") => Ok(Self::Mermaid),
            Some(_) => Err(Problem::field("format", "expected json, dot or mermaid")),
        }
    }
}

/// Every dependency and every external host, sorted by workload. What changes while it is read may be missing.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "it is written piece by piece, and only described as a whole"
)]
struct GraphView {
    dependencies: Vec<DependencyView>,
    external_hosts: Vec<ExternalHostView>,
}

/// The dependency graph
#[utoipa::path(
    get,
    path = "/v1/graph",
    tag = "graph",
    params(GraphQuery),
    responses(
        (status = 200, description = "The graph", content(
            (GraphView = "application/json"),
            (String = "text/vnd.graphviz"),
            (String = "text/vnd.mermaid"),
        )),
        ListProblems,
    ),
)]
async fn graph(
    State(view): State<Arc<SharedView>>,
    Query(query): Query<GraphQuery>,
) -> Result<Response, Problem> {
    let format = Format::parse(query.format.as_deref())?;
    let (media, walk) = match format {
        Format::Json => (JSON, Walk::json(view)),
        Format::Dot => (DOT, Walk::picture(view, Picture::dot())),
        Format::Mermaid => (MERMAID, Walk::picture(view, Picture::mermaid())),
    };
    let body = Body::from_stream(stream::try_unfold(walk, step));
    Ok(([(CONTENT_TYPE, media)], body).into_response())
}

/// The next piece, and where the walk goes on. An answer whose piece could not be made ends, so that nobody takes it for whole.
async fn step(mut walk: Walk) -> Result<Option<(Bytes, Walk)>, JoinError> {
    let piece = spawn_blocking(move || {
        let piece = walk.next();
        piece.map(|piece| (piece, walk))
    });
    piece.await
}
