//! Applies Sidecars on the Kubernetes API.

use std::sync::Arc;

use async_trait::async_trait;
use kube::api::ListParams;
use kube::{Client, ResourceExt};
use lazymesh_core::{EgressScope, SidecarSpec};

use crate::kubernetes::KubernetesError;
use crate::kubernetes::apply::Applier;
use crate::kubernetes::error::ask;
use crate::kubernetes::kinds::SIDECAR;
use crate::publish::kubernetes::cache::SidecarCache;
use crate::publish::kubernetes::owner::{Owner, content, selector};
use crate::publish::sink::{PublishOutcome, Published, Sink, SinkError};

/// Most Sidecars in one answer.
const PAGE: u32 = 500;

/// [`Sink`] on the Kubernetes API: server-side apply as field manager `lazymesh`.
///
/// A Sidecar that the source's watch has seen to be as it should be costs no request.
pub(crate) struct KubernetesSink {
    client: Client,
    owner: Owner,
    cache: Arc<SidecarCache>,
}

impl KubernetesSink {
    pub(crate) fn new(client: Client, owner: Owner, cache: Arc<SidecarCache>) -> Self {
        Self {
            client,
            owner,
            cache,
        }
    }

    fn sidecars<'a>(&'a self, namespace: &'a str) -> Applier<'a> {
        Applier {
            api: SIDECAR.within(&self.client, namespace),
            owner: &self.owner,
            kind: SIDECAR.kind,
            namespace,
        }
    }
}

#[async_trait]
impl Sink for KubernetesSink {
    async fn apply(
        &self,
        sidecar: &SidecarSpec,
        scope: &EgressScope,
    ) -> Result<PublishOutcome, SinkError> {
        let place = Published::of(sidecar);
        let mut desired = sidecar.manifest_with(scope);
        self.owner.sign(&mut desired);
        if self.cache.want(place.clone(), Some(desired.clone())) {
            return Ok(PublishOutcome::Unchanged);
        }
        let sidecars = self.sidecars(&sidecar.namespace);
        let (outcome, live) = sidecars.put(&sidecar.name, &desired).await?;
        self.cache.saw(place, Some(content(&live)));
        Ok(outcome)
    }

    async fn live(&self, place: &Published) -> Result<Option<EgressScope>, SinkError> {
        let live = self.cache.live(place);
        Ok(live.map(|live| EgressScope::of(&live)))
    }

    async fn withdraw(&self, namespace: &str, name: &str) -> Result<bool, SinkError> {
        let place = Published {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        self.cache.want(place.clone(), None);
        let there = self.sidecars(namespace).take_out(name).await?;
        self.cache.saw(place, None);
        Ok(there)
    }

    async fn list(&self) -> Result<Vec<Published>, SinkError> {
        let mut found = Vec::new();
        let mut page = ListParams::default().labels(&selector()).limit(PAGE);
        loop {
            let list = ask("Sidecars", SIDECAR.all(&self.client).list(&page)).await?;
            let ours = list.items.iter().filter(|sidecar| self.owner.owns(sidecar));
            found.extend(ours.map(|sidecar| Published {
                namespace: sidecar.namespace().unwrap_or_default(),
                name: sidecar.name_any(),
            }));
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => break,
            }
        }
        found.sort();
        Ok(found)
    }
}

impl From<KubernetesError> for SinkError {
    fn from(error: KubernetesError) -> Self {
        match error {
            KubernetesError::NotOurs { place } => Self::NotOurs { place },
            error => Self::Kubernetes(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
