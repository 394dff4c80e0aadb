//! Shows Sidecars as they are, or are about to be, published.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use lazymesh_core::{ObjectKey, Plan, SidecarSpec, Subject, Workload};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Admin;
use crate::api::extract::Names;
use crate::api::problem::{Kind, Problem};
use crate::api::responses::ItemProblems;
use crate::state::{SharedView, View};

const YAML: &str = "application/yaml";

pub(crate) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::default().routes(routes!(show))
}

/// Show a Sidecar
///
/// As lazymesh publishes it: `lazymesh-default` for a namespace, `lazymesh-<workload>` for a workload.
#[utoipa::path(
    get,
    path = "/v1/sidecars/{namespace}/{name}",
    tag = "sidecars",
    params(
        ("namespace" = String, Path, description = "Kubernetes namespace"),
        ("name" = String, Path, description = "Name of the Sidecar", example = "lazymesh-web"),
    ),
    responses(
        (status = 200, description = "The manifest", content_type = "application/yaml", body = String),
        ItemProblems,
    ),
)]
async fn show(State(view): State<Arc<SharedView>>, names: Names) -> Result<Response, Problem> {
    let sidecar = find(&view.look(), &names)?;
    let yaml = serde_saphyr::to_string(&sidecar.manifest()).map_err(|error| {
        tracing::error!(%error, "cannot render a Sidecar");
        Problem::new(Kind::Internal, "the Sidecar cannot be written as YAML")
    })?;
    Ok(([(CONTENT_TYPE, YAML)], yaml).into_response())
}

fn find(view: &View, names: &Names) -> Result<SidecarSpec, Problem> {
    let mut ruled_by = None;
    for subject in candidates(view, &names.namespace) {
        match view.plan(&subject) {
            Plan::Publish(sidecar) if sidecar.name == names.name => return Ok(sidecar),
            Plan::UserManaged(owner) if is_meant(&subject, &names.name) => ruled_by = Some(owner),
            Plan::Publish(_) | Plan::UserManaged(_) | Plan::NotEnforced => {}
        }
    }
    Err(absent(ruled_by))
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

fn absent(ruled_by: Option<ObjectKey>) -> Problem {
    let detail = match ruled_by {
        Some(owner) => format!("{owner} rules here, which lazymesh does not own, so it publishes none"),
        None => "lazymesh publishes no such Sidecar: is the namespace labelled lazymesh.io/mode=enforce?".to_owned(),
    };
    Problem::new(Kind::NotFound, detail)
}
