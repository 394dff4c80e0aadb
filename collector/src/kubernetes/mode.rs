//! Sets what lazymesh does for a namespace.

use kube::Client;
use kube::api::{Patch, PatchParams};
use lazymesh_core::MODE_LABEL;
use serde_json::json;

use crate::kubernetes::KubernetesError;
use crate::kubernetes::error::ask;
use crate::kubernetes::kinds::NAMESPACE;
use crate::publish::kubernetes::owner::FIELD_MANAGER;

/// Labels a namespace with a mode, or takes the label away; `false` without such a namespace.
///
/// # Errors
/// [`KubernetesError`] when the API server refuses.
pub async fn label_namespace(
    client: &Client,
    namespace: &str,
    mode: Option<&str>,
) -> Result<bool, KubernetesError> {
    let place = format!("Namespace {namespace}");
    let change = json!({ "metadata": { "labels": { MODE_LABEL: mode } } });
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(&change);
    match ask(
        &place,
        NAMESPACE.all(client).patch(namespace, &params, &patch),
    )
    .await
    {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}
