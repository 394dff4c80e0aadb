//! Shows Sidecars as they are published.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use lazymesh_core::{EgressScope, Plan, Reason, SidecarSpec, Subject, Workload};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Admin;
use crate::api::extract::Names;
use crate::api::problem::{Kind, Problem};
use crate::api::responses::ItemProblems;
use crate::publish::scopes::PublishedScopes;
use crate::publish::sink::Published;
use crate::state::{SharedView, View};

const YAML: &str = "application/yaml";
/// What separates the Sidecar that is published from the one that is wanted.
const WANTED: &str = "---\n# wanted\n";

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
    tag = "sidecars",
    params(
        ("namespace" = String, Path, description = "Kubernetes namespace"),
        ("name" = String, Path, description = "Name of the Sidecar", example = "lazymesh-web"),
    ),
    responses(
        (status = 200, description = "The manifest that is published, then the one that is wanted where it differs", content_type = "application/yaml", body = String),
        ItemProblems,
    ),
)]
async fn show(
    State(view): State<Arc<SharedView>>,
    State(published): State<Arc<PublishedScopes>>,
    names: Names,
) -> Result<Response, Problem> {
    let sidecar = find(&view.look(), &names)?;
    let mut manifests: Vec<_> = published
        .get(&Published::of(&sidecar))
        .into_iter()
        .collect();
    manifests.push(EgressScope::whole(&sidecar));
    manifests.dedup();
    let render = |scope| serde_saphyr::to_string(&sidecar.manifest_with(scope));
    let documents: Result<Vec<_>, _> = manifests.iter().map(render).collect();
    let documents = documents.map_err(|error| {
        tracing::error!(%error, "cannot render a Sidecar");
        Problem::new(Kind::Internal, "the Sidecar cannot be written as YAML")
    })?;
    Ok(([(CONTENT_TYPE, YAML)], documents.join(WANTED)).into_response())
}

fn find(view: &View, names: &Names) -> Result<SidecarSpec, Problem> {
    let mut reason = None;
    for subject in candidates(view, &names.namespace) {
        match view.plan(&subject) {
            Plan::Publish(sidecar) if sidecar.name == names.name => return Ok(sidecar),
            Plan::None(why) if is_meant(&subject, &names.name) => reason = Some(why),
            Plan::Publish(_) | Plan::None(_) => {}
        }
    }
    Err(absent(reason))
}

/// What can have a Sidecar in a namespace, be it one that does not exist.
fn candidates(view: &View, namespace: &str) -> BTreeSet<Subject> {
    let mut candidates = view.subjects_in(namespace);
    candidates.insert(Subject::Namespace(namespace.to_owned()));
    candidates
}

/// Whether the subject would have a Sidecar of this name; only to say why there is none.
fn is_meant(subject: &Subject, name: &str) -> bool {
    let own = name.strip_prefix("lazymesh-");
    match subject {
        Subject::Namespace(_) => own == Some("default"),
        Subject::Workload(Workload { name, .. }) => own == Some(name),
    }
}

fn absent(reason: Option<Reason>) -> Problem {
    let detail = match reason {
        Some(reason) => format!("lazymesh publishes no such Sidecar: {reason}"),
        None => "lazymesh publishes no such Sidecar: nobody there is known by that name".to_owned(),
    };
    Problem::new(Kind::NotFound, detail)
}
