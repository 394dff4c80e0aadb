//! Applies objects on the server's side, and never touches what is not ours.
//!
//! An object is looked at before it is applied, and what is then sent holds only for what was seen: an update
//! carries the resourceVersion, and a creation is not forced, so that an object which somebody creates in
//! between is a conflict and not a victim.

use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use serde_json::{Value, json};

use crate::kubernetes::KubernetesError;
use crate::kubernetes::error::ask;
use crate::publish::kubernetes::owner::{FIELD_MANAGER, Owner, content, is_as_desired};
use crate::publish::sink::PublishOutcome;

/// How often somebody else may be faster.
const ATTEMPTS: usize = 4;

/// Applies and removes objects of one kind and namespace.
pub(crate) struct Applier<'a> {
    pub(crate) api: Api<DynamicObject>,
    pub(crate) owner: &'a Owner,
    pub(crate) kind: &'static str,
    pub(crate) namespace: &'a str,
}

impl Applier<'_> {
    /// Makes the object look like `desired`; returns it as it then is.
    pub(crate) async fn put(
        &self,
        name: &str,
        desired: &Value,
    ) -> Result<(PublishOutcome, DynamicObject), KubernetesError> {
        let place = self.place(name);
        for _ in 1..ATTEMPTS {
            match self.put_once(&place, name, desired).await {
                Err(error) if error.is_conflict() => {}
                outcome => return outcome,
            }
        }
        self.put_once(&place, name, desired).await
    }

    async fn put_once(
        &self,
        place: &str,
        name: &str,
        desired: &Value,
    ) -> Result<(PublishOutcome, DynamicObject), KubernetesError> {
        let Some(live) = ask(place, self.api.get_opt(name)).await? else {
            let created = self.apply(place, name, desired, false).await?;
            return Ok((PublishOutcome::Created, created));
        };
        if !self.owner.owns(&live) {
            return Err(not_ours(place));
        }
        if is_as_desired(&content(&live), desired) {
            return Ok((PublishOutcome::Unchanged, live));
        }
        let mut seen = desired.clone();
        seen["metadata"]["resourceVersion"] = json!(live.metadata.resource_version);
        let mut updated = self.apply(place, name, &seen, true).await?;
        if !is_as_desired(&content(&updated), desired) {
            // A selector that somebody added is theirs in the eyes of server-side apply.
            updated = self.drop_selector(place, name, &updated).await?;
        }
        Ok((PublishOutcome::Updated, updated))
    }

    async fn apply(
        &self,
        place: &str,
        name: &str,
        object: &Value,
        force: bool,
    ) -> Result<DynamicObject, KubernetesError> {
        let params = PatchParams {
            force,
            ..PatchParams::apply(FIELD_MANAGER)
        };
        ask(place, self.api.patch(name, &params, &Patch::Apply(object))).await
    }

    async fn drop_selector(
        &self,
        place: &str,
        name: &str,
        live: &DynamicObject,
    ) -> Result<DynamicObject, KubernetesError> {
        let change = json!({
            "metadata": { "resourceVersion": live.metadata.resource_version },
            "spec": { "workloadSelector": null },
        });
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        ask(place, self.api.patch(name, &params, &Patch::Merge(&change))).await
    }

    /// Deletes the object; `false` if there is none.
    pub(crate) async fn take_out(&self, name: &str) -> Result<bool, KubernetesError> {
        let place = self.place(name);
        for _ in 0..ATTEMPTS {
            let Some(live) = ask(&place, self.api.get_opt(name)).await? else {
                return Ok(false);
            };
            if !self.owner.owns(&live) {
                return Err(not_ours(&place));
            }
            match ask(&place, self.api.delete(name, &as_seen(&live))).await {
                Ok(_) => return Ok(true),
                Err(error) if error.is_not_found() => return Ok(false),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
        Err(KubernetesError::Refused {
            place,
            reason: "it keeps changing".to_owned(),
            code: Some(409),
        })
    }

    fn place(&self, name: &str) -> String {
        format!("{} {}/{name}", self.kind, self.namespace)
    }
}

fn as_seen(live: &DynamicObject) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            resource_version: live.metadata.resource_version.clone(),
            uid: live.metadata.uid.clone(),
        }),
        ..DeleteParams::default()
    }
}

fn not_ours(place: &str) -> KubernetesError {
    KubernetesError::NotOurs {
        place: place.to_owned(),
    }
}
