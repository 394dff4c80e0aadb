//! Lists who depends on a service.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use lazymesh_core::{EgressHost, Workload};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Admin;
use crate::api::aside::aside;
use crate::api::extract::{Named, Query};
use crate::api::page::{Page, PageQuery};
use crate::api::problem::{Kind, Problem};
use crate::api::responses::ItemProblems;
use crate::api::views::DependencyView;
use crate::state::{SharedView, View};

pub(crate) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::default().routes(routes!(dependents))
}

/// List the workloads that depend on a service
///
/// A service that is gone is still found while something depends on it.
#[utoipa::path(
    get,
    path = "/v1/services/{namespace}/{name}/dependents",
    operation_id = "list_dependents",
    tag = "graph",
    params(
        ("namespace" = String, Path, description = "Namespace of the Service"),
        ("name" = String, Path, description = "Name of the Service"),
        PageQuery,
    ),
    responses((status = 200, description = "A page", body = Page<DependencyView>), ItemProblems),
)]
async fn dependents(
    State(view): State<Arc<SharedView>>,
    Named(service): Named,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<DependencyView>>, Problem> {
    let cut = query.cut::<Workload>()?;
    let host = egress_host(&view.look(), &service).ok_or_else(no_service)?;
    let piece = move |after: Option<&Workload>, count| {
        let _turn = view.turn();
        let graph = &view.look().graph;
        let rest = graph.dependents_after(&host, after).take(count);
        Ok(rest.map(|it| (it.source.clone(), it.into())).collect())
    };
    Ok(Json(aside(move || cut.read(piece)).await?))
}

/// The host of a Service that exists, or that something still depends on.
fn egress_host(view: &View, service: &Workload) -> Option<EgressHost> {
    let Workload { namespace, name } = service;
    let inventory = &view.inventory;
    inventory.egress_host_of(namespace, name).or_else(|| {
        let domain = &inventory.mesh().cluster_domain;
        let host = EgressHost::new(
            namespace.as_str(),
            format!("{name}.{namespace}.svc.{domain}"),
        )
        .ok()?;
        view.graph.is_needed(&host).then_some(host)
    })
}

fn no_service() -> Problem {
    Problem::new(
        Kind::NotFound,
        "there is no such Service, and nothing depends on one of that name",
    )
}
