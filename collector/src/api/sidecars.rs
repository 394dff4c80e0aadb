//! Shows Sidecars as they are published.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use lazymesh_core::{
    DEFAULT_SIDECAR, EgressScope, Plan, Reason, SidecarSpec, Subject, sidecar_name,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Admin;
use crate::api::aside::aside;
use crate::api::extract::Names;
use crate::api::problem::{Kind, Problem};
use crate::api::responses::ItemProblems;
use crate::publish::scopes::PublishedScopes;
use crate::publish::sink::Published;
use crate::state::SharedView;

const YAML: &str = "application/yaml";
/// What separates the Sidecar that is published from the one that is desired.
const DESIRED: &str = "---\n# desired\n";

pub(crate) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::default().routes(routes!(show))
}

/// Show a Sidecar
///
/// As it is in place: `lazymesh-default` for a namespace, `lazymesh-<workload>` for a workload. Where it is still on the way to
/// what it is to be, or was not published yet, that follows as a second document.
#[utoipa::path(
    get,
    path = "/v1/sidecars/{namespace}/{name}",
    operation_id = "show_sidecar",
    tag = "sidecars",
    params(
        ("namespace" = String, Path, description = "Kubernetes namespace"),
        ("name" = String, Path, description = "Name of the Sidecar", example = "lazymesh-web"),
    ),
    responses(
        (status = 200, description = "The manifest that is published, then the one that is desired where it differs", content_type = "application/yaml", body = String),
        ItemProblems,
    ),
)]
async fn show(
    State(view): State<Arc<SharedView>>,
    State(published): State<Arc<PublishedScopes>>,
    names: Names,
) -> Result<Response, Problem> {
    let yaml = aside(move || {
        let sidecar = find(&view, &names)?;
        let mut scopes: Vec<_> = published
            .get(&Published::of(&sidecar))
            .into_iter()
            .collect();
        scopes.push(EgressScope::whole(&sidecar));
        scopes.dedup();
        render(&sidecar, &scopes)
    });
    Ok(([(CONTENT_TYPE, YAML)], yaml.await?).into_response())
}

fn render(sidecar: &SidecarSpec, scopes: &[EgressScope]) -> Result<String, Problem> {
    let render = |scope| serde_saphyr::to_string(&sidecar.manifest_with(scope));
    let documents: Result<Vec<_>, _> = scopes.iter().map(render).collect();
    let documents = documents.map_err(|error| {
        tracing::error!(%error, "cannot render a Sidecar");
        Problem::new(Kind::Internal, "the Sidecar cannot be written as YAML")
    })?;
    Ok(documents.join(DESIRED))
}

fn find(view: &SharedView, names: &Names) -> Result<SidecarSpec, Problem> {
    let mut reason = None;
    for subject in candidates(view, names) {
        let _turn = view.turn();
        match view.look().plan(&subject) {
            Plan::Publish(sidecar) => return Ok(sidecar),
            Plan::None(why) => reason = Some(why),
        }
    }
    Err(absent(reason))
}

/// What the Sidecar of this name is for; nothing else is planned.
fn candidates(view: &SharedView, names: &Names) -> Vec<Subject> {
    let Names { namespace, name } = names;
    if name == DEFAULT_SIDECAR {
        return vec![Subject::Namespace(namespace.clone())];
    }
    let workloads = view.workloads_in(namespace);
    let named = workloads.filter(|workload| sidecar_name(&workload.name) == *name);
    named.map(Subject::Workload).collect()
}

fn absent(reason: Option<Reason>) -> Problem {
    let detail = match reason {
        Some(reason) => format!("lazymesh publishes no such Sidecar: {reason}"),
        None => "lazymesh publishes no such Sidecar: nobody there is known by that name".to_owned(),
    };
    Problem::new(Kind::NotFound, detail)
}
