//! Lists the hosts that stay in every scope, and why.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use lazymesh_core::{AlwaysVisible, EgressHost, always_visible_anywhere};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Admin;
use crate::api::extract::Query;
use crate::api::page::{Page, PageQuery};
use crate::api::problem::Problem;
use crate::api::responses::ListProblems;
use crate::api::views::AlwaysVisibleView;
use crate::state::SharedView;

pub(crate) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::default().routes(routes!(list))
}

/// List the hosts that stay in every scope
///
/// They are in the scope of everybody who may see them: nothing could decide the first request or connection to them.
#[utoipa::path(
    get,
    path = "/v1/always-visible",
    tag = "sidecars",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Page<AlwaysVisibleView>), ListProblems),
)]
async fn list(
    State(view): State<Arc<SharedView>>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<AlwaysVisibleView>>, Problem> {
    let cut = query.cut::<EgressHost>()?;
    let view = view.look();
    let hosts = always_visible_anywhere(&view.inventory, &view.policy.visibility);
    let page = cut.page(hosts.iter(), host);
    Ok(Json(page.map(AlwaysVisibleView::from)))
}

fn host((host, _): &(&EgressHost, &AlwaysVisible)) -> EgressHost {
    (*host).clone()
}
