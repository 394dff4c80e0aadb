//! Lists the hosts that stay in every scope, and why.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use lazymesh_core::{AlwaysVisible, EgressHost, always_visible_in};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Admin;
use crate::api::aside::aside;
use crate::api::extract::Query;
use crate::api::page::{Page, PageQuery};
use crate::api::problem::Problem;
use crate::api::responses::ListProblems;
use crate::api::views::AlwaysVisibleView;
use crate::state::{SharedView, View};

pub(crate) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::default().routes(routes!(list))
}

/// List the hosts that stay in every scope
///
/// They are in the scope of everybody who may see them: nothing could decide the first request or connection to them.
#[utoipa::path(
    get,
    path = "/v1/always-visible",
    operation_id = "list_always_visible",
    tag = "sidecars",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Page<AlwaysVisibleView>), ListProblems),
)]
async fn list(
    State(view): State<Arc<SharedView>>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<AlwaysVisibleView>>, Problem> {
    let cut = query.cut::<EgressHost>()?;
    let list = move || {
        let hosts = hosts(&view);
        cut.read(|after, count| {
            let start = after.map_or(Bound::Unbounded, Bound::Excluded);
            let rest = hosts.range((start, Bound::Unbounded)).take(count);
            Ok(rest.map(|it| (it.0.clone(), it.into())).collect())
        })
    };
    Ok(Json(aside(list).await?))
}

/// What the workloads of any namespace see so, each host with its first reason.
fn hosts(view: &SharedView) -> BTreeMap<EgressHost, AlwaysVisible> {
    let mut hosts = BTreeMap::new();
    for namespace in view.namespaces() {
        let _turn = view.turn();
        let View {
            inventory, policy, ..
        } = &*view.look();
        for (host, why) in always_visible_in(inventory, &policy.visibility, &namespace) {
            hosts.entry(host).or_insert(why);
        }
    }
    hosts
}
