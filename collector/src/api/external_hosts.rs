//! Lists the hosts outside the mesh that workloads called.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use lazymesh_core::ExternalHost;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Admin;
use crate::api::aside::aside;
use crate::api::extract::Query;
use crate::api::page::{ExternalKey, Page, PageQuery};
use crate::api::problem::Problem;
use crate::api::responses::ListProblems;
use crate::api::views::ExternalHostView;
use crate::state::SharedView;

pub(crate) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::default().routes(routes!(list))
}

/// List hosts outside the mesh
///
/// They are recorded and never put into a Sidecar.
#[utoipa::path(
    get,
    path = "/v1/external-hosts",
    operation_id = "list_external_hosts",
    tag = "graph",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Page<ExternalHostView>), ListProblems),
)]
async fn list(
    State(view): State<Arc<SharedView>>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<ExternalHostView>>, Problem> {
    let cut = query.cut::<ExternalKey>()?;
    let piece = move |after: Option<&ExternalKey>, count| {
        let after = after.map(|after| (&after.source, &*after.host));
        let _turn = view.turn();
        let graph = &view.look().graph;
        let rest = graph.externals_after(after).take(count);
        Ok(rest.map(|it| (key(it), it.into())).collect())
    };
    Ok(Json(aside(move || cut.read(piece)).await?))
}

fn key(external: &ExternalHost) -> ExternalKey {
    ExternalKey {
        source: external.source.clone(),
        host: external.host.clone(),
    }
}
