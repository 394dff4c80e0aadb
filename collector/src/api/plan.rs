//! Shows what enforcing would leave of each workload's scope.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use lazymesh_core::{
    Confidence, Footprint, Gap, Limit, Subject, Witness, Workload, confidence, estimate,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Admin;
use crate::api::aside::aside;
use crate::api::extract::{Named, Query};
use crate::api::page::{Page, PageQuery};
use crate::api::problem::Problem;
use crate::api::responses::{ItemProblems, ListProblems};
use crate::api::views::{ModeView, WitnessView};
use crate::api::workloads::{SidecarSummary, require};
use crate::runtime::clock::now_ms;
use crate::state::{SharedView, View};

pub(crate) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(show))
}

/// Whose plans are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PlanQuery {
    /// Only workloads of this namespace.
    namespace: Option<String>,
}

/// What enforcing would leave of a workload's scope, whatever its mode is now.
#[derive(Debug, Serialize, ToSchema)]
struct WorkloadPlan {
    namespace: String,
    /// Canonical name.
    name: String,
    mode: ModeView,
    sidecar: SidecarSummary,
    full: FootprintView,
    scoped: FootprintView,
    /// Egress hosts that it was seen to call.
    dependencies: usize,
    /// Egress hosts in the scope without having been called; 0 where the scope is the full one.
    always_visible: usize,
    /// Egress hosts that come along with others; 0 where the scope is the full one.
    along: usize,
    /// What keeps the scope large, or a pod from having it.
    limits: Vec<LimitView>,
    evidence: EvidenceView,
    confidence: ConfidenceView,
    /// The egress hosts that enforcing would leave, `*/*` for all; only where one workload is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    hosts: Option<Vec<String>>,
}

/// What a scope holds.
#[derive(Debug, Serialize, ToSchema)]
struct FootprintView {
    /// Hosts of Services and ServiceEntries.
    services: usize,
    /// Outbound clusters: one for each port, and for each port of each subset.
    clusters: usize,
    /// Endpoints of Kubernetes Services in these clusters.
    endpoints: usize,
    /// Estimated bytes that istiod sends for it.
    xds_bytes: usize,
    /// Estimated memory that Envoy allocates for it, in bytes; the filter takes its own besides.
    memory_bytes: usize,
}

/// What keeps a scope large, or a pod from having it.
#[derive(Debug, Serialize, ToSchema)]
struct LimitView {
    /// In one word: `proxyless`, `old-sidecar`, `no-sidecar`, `full` or `unlabelled`.
    limit: &'static str,
    /// For a person.
    detail: String,
}

/// What a plan rests on.
#[derive(Debug, Default, Serialize, ToSchema)]
struct EvidenceView {
    /// Requests and connections that taught its dependencies.
    count: u64,
    /// Milliseconds since 1970; absent where nothing was learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seen_ms: Option<u64>,
    /// Milliseconds since 1970; absent where nothing was learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_ms: Option<u64>,
    /// Whether it has pods now. A Job that runs once a week calls nothing until then.
    running: bool,
    /// Who saw any of it.
    sources: Vec<WitnessView>,
}

/// How far one may rely on what was learned: a rule of thumb, not a probability.
#[derive(Debug, Serialize, ToSchema)]
struct ConfidenceView {
    #[schema(minimum = 0, maximum = 100)]
    percent: u8,
    /// How many days it has been watched.
    days: u64,
    /// What may still be unseen.
    gaps: Vec<GapView>,
}

/// Why something may still be unseen.
#[derive(Debug, Serialize, ToSchema)]
struct GapView {
    /// In one word: `nothing`, `unwatched`, `week`, `few-calls`, `job` or `idle`.
    gap: &'static str,
    /// For a person.
    detail: String,
}

impl WorkloadPlan {
    fn new(view: &View, workload: &Workload) -> Self {
        let View {
            inventory,
            graph,
            policy,
        } = view;
        let estimate = estimate(inventory, graph, &policy.visibility, workload);
        let mode = policy.mode(inventory, workload);
        let hosts = estimate.hosts.iter().map(ToString::to_string);
        Self {
            namespace: workload.namespace.clone(),
            name: workload.name.clone(),
            mode: mode.into(),
            sidecar: view.plan(&Subject::Workload(workload.clone())).into(),
            full: estimate.full.into(),
            scoped: estimate.scoped.into(),
            dependencies: graph.dependency_count_of(workload),
            always_visible: estimate.always_visible,
            along: estimate.along,
            limits: estimate.limits.into_iter().map(LimitView::from).collect(),
            evidence: EvidenceView::new(view, workload),
            confidence: confidence(inventory, graph, mode, workload, now_ms()).into(),
            hosts: Some(hosts.collect()),
        }
    }

    /// As it stands in a list, where the hosts of many would be too many.
    fn in_list(view: &View, workload: &Workload) -> Self {
        Self {
            hosts: None,
            ..Self::new(view, workload)
        }
    }
}

impl EvidenceView {
    fn new(view: &View, workload: &Workload) -> Self {
        let dependencies = || view.graph.dependencies(workload);
        let saw = |it: &Witness| {
            dependencies().any(|known| known.sightings.iter().any(|(witness, _)| witness == *it))
        };
        let all = [Witness::Filter, Witness::AccessLog, Witness::Prometheus];
        let sources = all.into_iter().filter(saw).map(WitnessView::from);
        Self {
            count: dependencies().fold(0, |sum, it| sum.saturating_add(it.count)),
            first_seen_ms: dependencies().map(|it| it.first_seen_ms).min(),
            last_seen_ms: dependencies().map(|it| it.last_seen_ms).max(),
            running: view.inventory.is_running(workload),
            sources: sources.collect(),
        }
    }
}

impl From<Footprint> for FootprintView {
    fn from(footprint: Footprint) -> Self {
        Self {
            services: footprint.services,
            clusters: footprint.clusters,
            endpoints: footprint.endpoints,
            xds_bytes: footprint.xds_bytes(),
            memory_bytes: footprint.memory_bytes(),
        }
    }
}

impl From<Limit> for LimitView {
    fn from(limit: Limit) -> Self {
        Self {
            limit: limit.word(),
            detail: limit.to_string(),
        }
    }
}

impl From<Confidence> for ConfidenceView {
    fn from(confidence: Confidence) -> Self {
        Self {
            percent: confidence.percent,
            days: confidence.days,
            gaps: confidence.gaps.into_iter().map(GapView::from).collect(),
        }
    }
}

impl From<Gap> for GapView {
    fn from(gap: Gap) -> Self {
        Self {
            gap: gap.word(),
            detail: gap.to_string(),
        }
    }
}

/// List plans
///
/// What enforcing would leave of each workload's scope, whatever its mode is now.
#[utoipa::path(
    get,
    path = "/v1/plan",
    operation_id = "list_plans",
    tag = "sidecars",
    params(PageQuery, PlanQuery),
    responses((status = 200, description = "A page", body = Page<WorkloadPlan>), ListProblems),
)]
async fn list(
    State(view): State<Arc<SharedView>>,
    Query(page): Query<PageQuery>,
    Query(PlanQuery { namespace }): Query<PlanQuery>,
) -> Result<Json<Page<WorkloadPlan>>, Problem> {
    let cut = page.cut::<Workload>()?;
    let list = move || {
        let start = namespace.as_deref().map(Workload::before_all_of);
        let page = cut.read(|after, count| {
            let _turn = view.turn();
            let workloads = view
                .look()
                .workloads_after(after.max(start.as_ref()), count);
            let listed = workloads.into_iter().filter(|it| {
                let only = namespace.as_ref();
                only.is_none_or(|only| it.namespace == *only)
            });
            Ok(listed.map(|it| (it.clone(), it)).collect())
        })?;
        // A plan is a piece of its own.
        Ok(page.map(|workload| {
            let _turn = view.turn();
            WorkloadPlan::in_list(&view.look(), &workload)
        }))
    };
    Ok(Json(aside(list).await?))
}

/// Show a workload's plan
#[utoipa::path(
    get,
    path = "/v1/plan/{namespace}/{name}",
    operation_id = "show_plan",
    tag = "sidecars",
    params(
        ("namespace" = String, Path, description = "Kubernetes namespace"),
        ("name" = String, Path, description = "Canonical name"),
    ),
    responses((status = 200, description = "The plan", body = WorkloadPlan), ItemProblems),
)]
async fn show(
    State(view): State<Arc<SharedView>>,
    Named(workload): Named,
) -> Result<Json<WorkloadPlan>, Problem> {
    let plan = aside(move || {
        let _turn = view.turn();
        let view = view.look();
        require(&view, &workload)?;
        Ok(WorkloadPlan::new(&view, &workload))
    });
    Ok(Json(plan.await?))
}
