//! Shows workloads and what they depend on.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use lazymesh_core::{EgressHost, Plan, Reason, Subject, Workload};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Admin;
use crate::api::aside::aside;
use crate::api::extract::{Named, Query};
use crate::api::page::{Page, PageQuery};
use crate::api::problem::{Kind, Problem};
use crate::api::responses::{ItemProblems, ListProblems};
use crate::api::views::{DependencyView, ModeView};
use crate::learn::Forgetter;
use crate::state::{SharedView, View};

pub(crate) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(show, forget))
        .routes(routes!(dependencies))
}

/// A workload in a list.
#[derive(Debug, Serialize, ToSchema)]
struct WorkloadItem {
    namespace: String,
    /// Canonical name.
    name: String,
    mode: ModeView,
    /// How many dependencies it has.
    dependencies: usize,
}

/// A workload.
#[derive(Debug, Serialize, ToSchema)]
struct WorkloadDetail {
    #[serde(flatten)]
    item: WorkloadItem,
    /// How many hosts outside the mesh it has called.
    external_hosts: usize,
    /// Service accounts of its pods, sorted; empty when it has no pods.
    service_accounts: Vec<String>,
    sidecar: SidecarSummary,
}

/// What rules a workload's scope.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SidecarSummary {
    state: SidecarState,
    /// The Sidecar's name: lazymesh's own when `managed`, the user's when `user-managed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Why lazymesh publishes none, or one with the full scope, for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SidecarState {
    /// A Sidecar that lazymesh publishes.
    Managed,
    /// A Sidecar of somebody else, which lazymesh leaves alone.
    UserManaged,
    /// Nothing until a filter has called from the workload's namespace: without one it could not be lazy.
    NoFilterSeen,
    /// Nothing: its mode is `learn`.
    LearnOnly,
    /// Nothing: of its namespace only so many of a hundred workloads are enforced, and it is none of them.
    Canary,
    /// Nothing: its namespace was enforced bit by bit, and something went wrong.
    Reverted,
    /// Nothing: its mode is `off`.
    Off,
    /// Nothing: it has no pods, and nothing was learned about it.
    NothingLearned,
    /// Nothing: all of lazymesh is switched off.
    SwitchedOff,
    /// Nothing: the default of Istio's root namespace would scope the whole mesh.
    Root,
}

impl WorkloadItem {
    fn new(view: &View, workload: &Workload) -> Self {
        Self {
            namespace: workload.namespace.clone(),
            name: workload.name.clone(),
            mode: view.policy.mode(&view.inventory, workload).into(),
            dependencies: view.graph.dependency_count_of(workload),
        }
    }
}

impl WorkloadDetail {
    fn new(view: &View, workload: &Workload) -> Result<Self, Problem> {
        require(view, workload)?;
        let accounts = view.inventory.service_accounts(workload);
        let plan = view.plan(&Subject::Workload(workload.clone()));
        let mut sidecar = SidecarSummary::from(plan);
        if view.policy.filters.silent().contains(workload) {
            sidecar.detail = Some("its filters are silent, so it has its full scope".to_owned());
        }
        Ok(Self {
            item: WorkloadItem::new(view, workload),
            external_hosts: view.graph.external_count_of(workload),
            service_accounts: accounts.into_iter().collect(),
            sidecar,
        })
    }
}

impl SidecarSummary {
    fn none(reason: Reason) -> Self {
        let detail = Some(reason.to_string());
        let (state, name) = match reason {
            Reason::UserManaged(owner) => (SidecarState::UserManaged, Some(owner.name)),
            Reason::NoFilterSeen => (SidecarState::NoFilterSeen, None),
            Reason::LearnOnly => (SidecarState::LearnOnly, None),
            Reason::Canary(_) => (SidecarState::Canary, None),
            Reason::Reverted(_) => (SidecarState::Reverted, None),
            Reason::Off => (SidecarState::Off, None),
            Reason::NothingLearned => (SidecarState::NothingLearned, None),
            Reason::SwitchedOff => (SidecarState::SwitchedOff, None),
            Reason::Root => (SidecarState::Root, None),
        };
        Self {
            state,
            name,
            detail,
        }
    }
}

impl From<Plan> for SidecarSummary {
    fn from(plan: Plan) -> Self {
        let (state, name) = match plan {
            Plan::Publish(sidecar) => (SidecarState::Managed, Some(sidecar.name)),
            Plan::None(reason) => return Self::none(reason),
        };
        Self {
            state,
            name,
            detail: None,
        }
    }
}

/// List workloads
///
/// All that have pods, or that something was learned about.
#[utoipa::path(
    get,
    path = "/v1/workloads",
    operation_id = "list_workloads",
    tag = "graph",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Page<WorkloadItem>), ListProblems),
)]
async fn list(
    State(view): State<Arc<SharedView>>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<WorkloadItem>>, Problem> {
    let cut = query.cut::<Workload>()?;
    let piece = move |after: Option<&Workload>, count| {
        let _turn = view.turn();
        let view = view.look();
        let workloads = view.workloads_after(after, count).into_iter();
        let items = workloads.map(|it| {
            let item = WorkloadItem::new(&view, &it);
            (it, item)
        });
        Ok(items.collect())
    };
    Ok(Json(aside(move || cut.read(piece)).await?))
}

/// Show a workload
#[utoipa::path(
    get,
    path = "/v1/workloads/{namespace}/{name}",
    operation_id = "show_workload",
    tag = "graph",
    params(
        ("namespace" = String, Path, description = "Kubernetes namespace"),
        ("name" = String, Path, description = "Canonical name"),
    ),
    responses((status = 200, description = "The workload", body = WorkloadDetail), ItemProblems),
)]
async fn show(
    State(view): State<Arc<SharedView>>,
    Named(workload): Named,
) -> Result<Json<WorkloadDetail>, Problem> {
    let detail = aside(move || {
        let _turn = view.turn();
        WorkloadDetail::new(&view.look(), &workload)
    });
    Ok(Json(detail.await?))
}

/// Forget what a workload has learned
///
/// Its Sidecar becomes that of a workload which has learned nothing yet. It learns anew when it calls.
#[utoipa::path(
    delete,
    path = "/v1/workloads/{namespace}/{name}",
    operation_id = "forget_workload",
    tag = "graph",
    params(
        ("namespace" = String, Path, description = "Kubernetes namespace"),
        ("name" = String, Path, description = "Canonical name"),
    ),
    responses((status = 204, description = "Nothing is known of it any more"), ItemProblems),
)]
async fn forget(
    State(forgetter): State<Arc<Forgetter>>,
    Named(workload): Named,
) -> Result<StatusCode, Problem> {
    match forgetter.forget(&workload).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => Err(Problem::new(
            Kind::NotFound,
            "nothing was learned about such a workload",
        )),
        Err(_) => Err(Problem::new(
            Kind::Store,
            "the store failed, so not all of it may be forgotten",
        )),
    }
}

/// List what a workload depends on
#[utoipa::path(
    get,
    path = "/v1/workloads/{namespace}/{name}/dependencies",
    operation_id = "list_dependencies",
    tag = "graph",
    params(
        ("namespace" = String, Path, description = "Kubernetes namespace"),
        ("name" = String, Path, description = "Canonical name"),
        PageQuery,
    ),
    responses((status = 200, description = "A page", body = Page<DependencyView>), ItemProblems),
)]
async fn dependencies(
    State(view): State<Arc<SharedView>>,
    Named(workload): Named,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<DependencyView>>, Problem> {
    let cut = query.cut::<EgressHost>()?;
    let piece = move |after: Option<&EgressHost>, count| {
        let _turn = view.turn();
        let view = view.look();
        require(&view, &workload)?;
        let rest = view.graph.dependencies_after(&workload, after);
        let items = rest.take(count).map(|it| (it.host.clone(), it.into()));
        Ok(items.collect())
    };
    Ok(Json(aside(move || cut.read(piece)).await?))
}

pub(super) fn require(view: &View, workload: &Workload) -> Result<(), Problem> {
    let known = view.graph.has(workload) || view.inventory.is_running(workload);
    if known {
        return Ok(());
    }
    Err(Problem::new(
        Kind::NotFound,
        "no pod has that canonical name in that namespace, and nothing was learned about it",
    ))
}
