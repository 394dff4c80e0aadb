//! Explains what lazymesh knows of one call, and what it would do with it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use lazymesh_core::{
    Authority, Call, Cause, EgressHost, Explanation, Learned, Meant, Outcome, Question, Stage,
    Standing, Subject, Workload, explain as explain_call,
};
use lazymesh_protocol::{DIRECT_CLUSTER, Decision, Protocol};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Admin;
use crate::api::aside::aside;
use crate::api::extract::Query;
use crate::api::problem::Problem;
use crate::api::responses::ItemProblems;
use crate::api::views::{DependencyView, ModeView, WorkloadRef};
use crate::api::workloads::{SidecarSummary, require};
use crate::publish::scopes::PublishedScopes;
use crate::publish::sink::Published;
use crate::state::{SharedView, View};

/// Istio's cluster for what it has no route for.
const PASSTHROUGH_CLUSTER: &str = "PassthroughCluster";

pub(crate) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::default().routes(routes!(explain))
}

/// Which call.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CallQuery {
    /// Who calls: `<namespace>/<canonical name>`.
    #[param(example = "shop/web")]
    workload: String,
    /// Whom, as the application names it, with a port or without.
    #[param(example = "reviews:80")]
    host: String,
    /// What is spoken; what the host's port is declared to be where this is absent.
    #[param(value_type = Option<Protocol>)]
    protocol: Option<String>,
    /// What is dialled, `IP:port`; the host's own address where this is absent.
    destination: Option<String>,
}

impl CallQuery {
    fn call(self) -> Result<Call, Problem> {
        let source = self.workload.parse::<Workload>();
        let source = source.map_err(|error| Problem::field("workload", error.to_string()))?;
        let authority = self.host.parse::<Authority>();
        let authority = authority.map_err(|error| Problem::field("host", error.to_string()))?;
        let destination = self.destination.map(|it| it.parse::<SocketAddr>());
        let destination = destination
            .transpose()
            .map_err(|_| Problem::field("destination", "expected IP:port, or [IPv6]:port"))?;
        Ok(Call {
            source,
            authority,
            protocol: self.protocol.as_deref().map(protocol).transpose()?,
            destination,
        })
    }
}

fn protocol(text: &str) -> Result<Protocol, Problem> {
    match text {
        "http" => Ok(Protocol::Http),
        "tcp" => Ok(Protocol::Tcp),
        "tls" => Ok(Protocol::Tls),
        _ => Err(Problem::field("protocol", "expected http, tcp or tls")),
    }
}

/// What lazymesh knows of a call.
#[derive(Debug, Serialize, ToSchema)]
struct ExplanationView {
    workload: WorkloadRef,
    mode: ModeView,
    sidecar: SidecarSummary,
    call: CallView,
    meant: MeantView,
    /// Whether the workload's scope is to have the host; absent where a user's Sidecar says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_scope: Option<bool>,
    /// By which rules: the host itself, then the one that brought it along, and so on to the first.
    because: Vec<BecauseView>,
    /// How far the host is in the Sidecar that is published; absent where it is not in it, or there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<StageView>,
    /// What was seen of such calls; absent where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    dependency: Option<DependencyView>,
    /// What the first request would do; absent where the host is in scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_request: Option<FirstRequestView>,
}

/// What a sidecar would ask that does not know the host.
#[derive(Debug, Serialize, ToSchema)]
struct CallView {
    protocol: Protocol,
    #[serde(skip_serializing_if = "Option::is_none")]
    authority: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<String>,
}

/// Who is meant.
#[derive(Debug, Serialize, ToSchema)]
struct MeantView {
    /// The egress host, as a Sidecar names it; absent for pods and for what is outside the mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "shop/reviews.shop.svc.cluster.local")]
    host: Option<String>,
    /// For a person.
    detail: String,
}

/// Why something is so.
#[derive(Debug, Serialize, ToSchema)]
struct BecauseView {
    /// Of which egress host; absent where it is so of all hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    /// In one word.
    #[schema(example = "learned")]
    rule: &'static str,
    /// In a sentence.
    detail: String,
}

/// How far a host is in a Sidecar.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum StageView {
    /// It has clusters only, on its way in or out.
    Clusters,
    /// It has all.
    Routes,
}

/// What the first request would do.
#[derive(Debug, Serialize, ToSchema)]
struct FirstRequestView {
    /// `direct`, `hold` or `passthrough`.
    decision: &'static str,
    /// Why, in one word.
    reason: &'static str,
    /// Why, in a sentence.
    detail: String,
    /// Through which cluster, or which of several by their weights.
    clusters: Vec<ClusterView>,
    /// What would be learned, an egress host or a host outside the mesh; absent for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    learns: Option<String>,
}

/// A cluster's share of the requests.
#[derive(Debug, Serialize, ToSchema)]
struct ClusterView {
    #[schema(example = "outbound|80||reviews.shop.svc.cluster.local")]
    cluster: String,
    weight: u32,
}

impl ExplanationView {
    fn new(view: &View, published: &PublishedScopes, call: &Call) -> Self {
        let View {
            inventory,
            graph,
            policy,
        } = view;
        let said = explain_call(inventory, graph, policy, call);
        let workload = &call.source;
        let host = said.meant.host();
        let place = Published::of_workload(workload);
        let stage = host.and_then(|host| published.stage(&place, host));
        let known = host.and_then(|host| graph.dependency(workload, host));
        let in_scope = match said.standing {
            Standing::Scoped(_) | Standing::Full(_) => Some(true),
            Standing::Absent => Some(false),
            Standing::UserManaged(_) => None,
        };
        Self {
            workload: workload.into(),
            mode: policy.mode(inventory, workload).into(),
            sidecar: view.plan(&Subject::Workload(workload.clone())).into(),
            call: (&said.question).into(),
            meant: (&said.meant).into(),
            in_scope,
            because: because(&said.standing),
            published: stage.map(StageView::from),
            dependency: known.map(DependencyView::from),
            first_request: (in_scope != Some(true)).then(|| FirstRequestView::from(said)),
        }
    }
}

fn because(standing: &Standing) -> Vec<BecauseView> {
    match standing {
        Standing::Scoped(causes) => causes.iter().map(BecauseView::from).collect(),
        Standing::Full(why) => vec![BecauseView {
            host: None,
            rule: why.word(),
            detail: why.to_string(),
        }],
        Standing::Absent => Vec::new(),
        Standing::UserManaged(sidecar) => vec![BecauseView {
            host: None,
            rule: "user-managed",
            detail: format!("{sidecar} says what the workload may see"),
        }],
    }
}

impl From<&Cause> for BecauseView {
    fn from(cause: &Cause) -> Self {
        Self {
            host: Some(cause.host.to_string()),
            rule: cause.rule.word(),
            detail: cause.to_string(),
        }
    }
}

impl From<&Question> for CallView {
    fn from(question: &Question) -> Self {
        Self {
            protocol: question.protocol,
            authority: question.authority.as_ref().map(ToString::to_string),
            destination: question.destination.map(|it| it.to_string()),
        }
    }
}

impl From<&Meant> for MeantView {
    fn from(meant: &Meant) -> Self {
        Self {
            host: meant.host().map(EgressHost::to_string),
            detail: meant.to_string(),
        }
    }
}

impl From<Stage> for StageView {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Clusters => Self::Clusters,
            Stage::Routes => Self::Routes,
        }
    }
}

impl From<Explanation> for FirstRequestView {
    fn from(said: Explanation) -> Self {
        let Outcome { decision, learned } = said.outcome;
        let one = |cluster: String| vec![ClusterView { cluster, weight: 1 }];
        let (word, clusters) = match decision {
            Decision::Direct { .. } => ("direct", one(DIRECT_CLUSTER.to_owned())),
            Decision::Passthrough { .. } => ("passthrough", one(PASSTHROUGH_CLUSTER.to_owned())),
            Decision::Hold { cluster, split, .. } if split.is_empty() => ("hold", one(cluster)),
            Decision::Hold { split, .. } => {
                let shares = split.into_iter().map(|share| ClusterView {
                    cluster: share.cluster,
                    weight: share.weight,
                });
                ("hold", shares.collect())
            }
        };
        Self {
            decision: word,
            reason: said.ground.word(),
            detail: said.ground.to_string(),
            clusters,
            learns: match learned {
                Learned::Host(host) => Some(host.to_string()),
                Learned::External(host) => Some(host),
                Learned::Nothing => None,
            },
        }
    }
}

/// Explain a call
///
/// Whether a workload has a host in scope, since when and by which rule; else what the first request would do, and why.
#[utoipa::path(
    get,
    path = "/v1/explain",
    operation_id = "explain_call",
    tag = "sidecars",
    params(CallQuery),
    responses((status = 200, description = "What is known of it", body = ExplanationView), ItemProblems),
)]
async fn explain(
    State(view): State<Arc<SharedView>>,
    State(published): State<Arc<PublishedScopes>>,
    Query(query): Query<CallQuery>,
) -> Result<Json<ExplanationView>, Problem> {
    let call = query.call()?;
    let explanation = aside(move || {
        let _turn = view.turn();
        let view = view.look();
        require(&view, &call.source)?;
        Ok(ExplanationView::new(&view, &published, &call))
    });
    Ok(Json(explanation.await?))
}
