//! Holds the Lease that says which collector works here, so that a second one finds out and refuses.
//!
//! A holder is taken for dead when the Lease has not changed for its duration on the clock of the one who wants it. While
//! the API server does not answer nobody else gets it either, so a holder that cannot renew goes on.

use std::time::Duration;

use jiff::Timestamp;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use lazymesh_core::MANAGED_BY;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::kubernetes::error::{KubernetesError, ask};
use crate::kubernetes::kinds::LEASE;

/// Name of the Lease, in lazymesh's own namespace.
pub(crate) const NAME: &str = "lazymesh-collector";
/// How long a holder may not renew.
const DURATION: Duration = Duration::from_secs(15);
/// How often a holder renews.
const RENEWAL: Duration = Duration::from_secs(4);
/// How often to look whether a holder does.
const LOOK: Duration = Duration::from_millis(500);
/// Longest name of a field manager.
const MANAGER: usize = 128;

/// The Lease, while it is held.
pub(crate) struct Lease {
    api: Api<DynamicObject>,
    place: String,
    namespace: String,
    holder: String,
    since: Timestamp,
}

impl Lease {
    /// Takes it, if nobody holds it: waits for a holder that may be dead, and for an API server that does not answer yet,
    /// since a pod's network and rights may come later than the pod.
    ///
    /// # Errors
    /// [`KubernetesError::Held`] by somebody who lives.
    pub(crate) async fn acquire(
        client: &Client,
        namespace: &str,
        holder: String,
    ) -> Result<Self, KubernetesError> {
        let lease = Self {
            api: LEASE.within(client, namespace),
            place: format!("Lease {namespace}/{NAME}"),
            namespace: namespace.to_owned(),
            holder,
            since: Timestamp::now(),
        };
        let first = lease.look().await;
        let deadline = Instant::now() + DURATION;
        let mut live = first.clone();
        loop {
            match lease.held_by_another(live.as_ref()) {
                Some(error) if version(live.as_ref()) != version(first.as_ref()) => {
                    return Err(error);
                }
                Some(_) if Instant::now() < deadline => sleep(LOOK).await,
                _ => match lease.take(live.as_ref()).await {
                    Ok(()) => return Ok(lease),
                    Err(error) => pause(&error).await,
                },
            }
            live = lease.look().await;
        }
    }

    /// Renews it for ever; ends when somebody else holds it.
    pub(crate) async fn keep(&self) -> KubernetesError {
        loop {
            sleep(RENEWAL).await;
            match self.renew().await {
                Ok(()) => {}
                Err(error @ KubernetesError::Held { .. }) => return error,
                Err(error) => tracing::warn!(%error, "cannot renew the Lease"),
            }
        }
    }

    async fn renew(&self) -> Result<(), KubernetesError> {
        let live = self.live().await?;
        match self.held_by_another(live.as_ref()) {
            Some(error) => Err(error),
            None => self.take(live.as_ref()).await,
        }
    }

    /// Lets the next collector have it at once.
    pub(crate) async fn release(&self) {
        let released = async {
            let Some(live) = self.live().await? else {
                return Ok(());
            };
            if self.held_by_another(Some(&live)).is_some() {
                return Ok(());
            }
            let change = json!({
                "metadata": { "resourceVersion": live.metadata.resource_version },
                "spec": { "holderIdentity": null },
            });
            let (params, patch) = (PatchParams::default(), Patch::Merge(&change));
            let patched = self.api.patch(NAME, &params, &patch);
            ask(&self.place, patched).await.map(drop)
        };
        let released: Result<(), KubernetesError> = released.await;
        if let Err(error) = released {
            tracing::warn!(%error, "cannot release the Lease; it expires");
        }
    }

    /// As [`Lease::live`], at last.
    async fn look(&self) -> Option<DynamicObject> {
        loop {
            match self.live().await {
                Ok(live) => return live,
                Err(error) => pause(&error).await,
            }
        }
    }

    async fn live(&self) -> Result<Option<DynamicObject>, KubernetesError> {
        ask(&self.place, self.api.get_opt(NAME)).await
    }

    fn held_by_another(&self, live: Option<&DynamicObject>) -> Option<KubernetesError> {
        let holder = live?.data.pointer("/spec/holderIdentity")?.as_str()?;
        let is_another = !holder.is_empty() && holder != self.holder;
        is_another.then(|| KubernetesError::Held {
            place: self.place.clone(),
            holder: holder.escape_debug().to_string(),
        })
    }

    /// Writes that this collector holds it, over what was seen and nothing else.
    async fn take(&self, live: Option<&DynamicObject>) -> Result<(), KubernetesError> {
        let mut desired = json!({
            "apiVersion": LEASE.api_version(),
            "kind": LEASE.kind,
            "metadata": {
                "name": NAME,
                "namespace": self.namespace,
                "labels": { MANAGED_BY.0: MANAGED_BY.1 },
            },
            "spec": {
                "holderIdentity": self.holder,
                "leaseDurationSeconds": DURATION.as_secs(),
                "acquireTime": format!("{:.6}", self.since),
                "renewTime": format!("{:.6}", Timestamp::now()),
            },
        });
        if let Some(live) = live {
            desired["metadata"]["resourceVersion"] = json!(live.resource_version());
        }
        // Of two that create it at once, the managers differ, so one of them meets a conflict.
        let manager: String = format!("lazymesh {}", self.holder)
            .chars()
            .filter(char::is_ascii_graphic)
            .take(MANAGER)
            .collect();
        let params = PatchParams {
            force: live.is_some(),
            ..PatchParams::apply(&manager)
        };
        let patch = Patch::Apply(&desired);
        let taken = self.api.patch(NAME, &params, &patch);
        ask(&self.place, taken).await.map(drop)
    }
}

async fn pause(error: &KubernetesError) {
    tracing::warn!(%error, "cannot take the Lease yet");
    sleep(LOOK).await;
}

fn version(live: Option<&DynamicObject>) -> Option<&str> {
    live?.metadata.resource_version.as_deref()
}

#[cfg(test)]
mod tests;
