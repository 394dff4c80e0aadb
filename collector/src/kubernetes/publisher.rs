use std::sync::Arc;

use async_trait::async_trait;
use kube::api::ListParams;
use kube::{Client, ResourceExt};
use lazymesh_core::SidecarSpec;

use super::KubernetesError;
use super::apply::Applier;
use super::error::ask;
use super::kinds::SIDECAR;
use super::ours::Ours;
use super::owner::{Owner, content, selector};
use crate::publisher::{PublishError, PublishOutcome, Published, Publisher};

/// Most Sidecars in one answer.
const PAGE: u32 = 500;

/// [`Publisher`] on the Kubernetes API: server-side apply as field manager `lazymesh`.
///
/// A Sidecar that the source's watch has seen to be as it should be costs no request.
pub struct KubernetesPublisher {
    client: Client,
    owner: Owner,
    ours: Arc<Ours>,
}

impl KubernetesPublisher {
    pub(super) fn new(client: Client, owner: Owner, ours: Arc<Ours>) -> Self {
        Self {
            client,
            owner,
            ours,
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
impl Publisher for KubernetesPublisher {
    async fn publish(&self, sidecar: &SidecarSpec) -> Result<PublishOutcome, PublishError> {
        let mut wanted = sidecar.manifest();
        self.owner.sign(&mut wanted);
        let place = Published {
            namespace: sidecar.namespace.clone(),
            name: sidecar.name.clone(),
        };
        if self.ours.want(place.clone(), Some(wanted.clone())) {
            return Ok(PublishOutcome::Unchanged);
        }
        let sidecars = self.sidecars(&sidecar.namespace);
        let (outcome, live) = sidecars.put(&sidecar.name, &wanted).await?;
        self.ours.saw(place, Some(content(&live)));
        Ok(outcome)
    }

    async fn withdraw(&self, namespace: &str, name: &str) -> Result<bool, PublishError> {
        let place = Published {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        self.ours.want(place.clone(), None);
        let there = self.sidecars(namespace).take_out(name).await?;
        self.ours.saw(place, None);
        Ok(there)
    }

    async fn list(&self) -> Result<Vec<Published>, PublishError> {
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

impl From<KubernetesError> for PublishError {
    fn from(error: KubernetesError) -> Self {
        match error {
            KubernetesError::NotOurs { place } => Self::NotOurs { place },
            error => Self::Kubernetes(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
