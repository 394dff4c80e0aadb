//! Applies Sidecars on the Kubernetes API.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use kube::api::ListParams;
use kube::{Client, ResourceExt};
use lazymesh_core::{DEFAULT_SIDECAR, EgressHost, SidecarSpec};
use parking_lot::Mutex;
use serde_json::Value;

use crate::kubernetes::KubernetesError;
use crate::kubernetes::apply::Applier;
use crate::kubernetes::error::ask;
use crate::kubernetes::kinds::SIDECAR;
use crate::publish::kubernetes::cache::SidecarCache;
use crate::publish::kubernetes::owner::{Owner, content, selector};
use crate::publish::kubernetes::rollout::{Desired, Rollout, Scope};
use crate::publish::sink::{PublishOutcome, Published, Sink, SinkError};

/// Most Sidecars in one answer.
const PAGE: u32 = 500;

/// [`Sink`] on the Kubernetes API: server-side apply as field manager `lazymesh`.
///
/// A Sidecar that the source's watch has seen to be as it should be costs no request.
///
/// Scopes change in steps, so that no request falls between a route and its cluster.
pub(crate) struct KubernetesSink {
    client: Client,
    owner: Owner,
    cache: Arc<SidecarCache>,
    rollout: Mutex<Rollout>,
}

impl KubernetesSink {
    /// `settle`: how long istiod and sidecars may take to follow a change.
    pub(crate) fn new(
        client: Client,
        owner: Owner,
        cache: Arc<SidecarCache>,
        settle: Duration,
    ) -> Self {
        Self {
            client,
            owner,
            cache,
            rollout: Mutex::new(Rollout::new(settle)),
        }
    }

    /// The next step towards `wanted`, the manifest of `sidecar`.
    fn step(
        &self,
        place: &Published,
        sidecar: &SidecarSpec,
        mut wanted: Value,
        in_use: bool,
    ) -> Value {
        let mut rollout = self.rollout.lock();
        if !in_use {
            rollout.forget(place);
            return wanted;
        }
        if rollout.due(place).is_none() && self.cache.is_settled(place, &wanted) {
            return wanted;
        }
        let there = self.scope(place).unwrap_or_else(|| Scope {
            routes: entries(&sidecar.full),
            clusters: BTreeSet::new(),
        });
        let asked = Desired {
            entries: &entries(&sidecar.hosts),
            at_once: &entries(&sidecar.beyond_http),
            soon: &entries(&sidecar.routed),
        };
        let next = rollout.next(place, &there, &asked, Instant::now());
        next.put_into(&mut wanted);
        wanted
    }

    /// The scope that those have for whom a Sidecar is: its own if it is there, else the namespace's, if any.
    fn scope(&self, place: &Published) -> Option<Scope> {
        let default = Published {
            namespace: place.namespace.clone(),
            name: DEFAULT_SIDECAR.to_owned(),
        };
        let live = self.cache.live(place).or_else(|| self.cache.live(&default));
        live.map(|live| Scope::of(&live))
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
    async fn publish(
        &self,
        sidecar: &SidecarSpec,
        in_use: bool,
    ) -> Result<PublishOutcome, SinkError> {
        let place = Published {
            namespace: sidecar.namespace.clone(),
            name: sidecar.name.clone(),
        };
        let mut wanted = sidecar.manifest();
        self.owner.sign(&mut wanted);
        let wanted = self.step(&place, sidecar, wanted, in_use);
        if self.cache.want(place.clone(), Some(wanted.clone())) {
            return Ok(PublishOutcome::Unchanged);
        }
        let sidecars = self.sidecars(&sidecar.namespace);
        let (outcome, live) = sidecars.put(&sidecar.name, &wanted).await?;
        self.cache.saw(place, Some(content(&live)));
        Ok(outcome)
    }

    fn due(&self, namespace: &str, name: &str) -> Option<Instant> {
        let place = Published {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        self.rollout.lock().due(&place)
    }

    async fn withdraw(&self, namespace: &str, name: &str) -> Result<bool, SinkError> {
        let place = Published {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        self.cache.want(place.clone(), None);
        self.rollout.lock().forget(&place);
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

fn entries(hosts: &BTreeSet<EgressHost>) -> BTreeSet<String> {
    hosts.iter().map(ToString::to_string).collect()
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
