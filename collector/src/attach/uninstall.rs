//! Takes everything out that lazymesh has put into a cluster, in the order that costs no request: Sidecars first,
//! so that every workload has its full scope again before what makes up for a small one goes.

use std::time::Duration;

use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use lazymesh_core::MODE_LABEL;
use serde_json::json;
use thiserror::Error;
use tokio::time::{Instant, sleep};

use crate::kubernetes::KubernetesError;
use crate::kubernetes::apply::Applier;
use crate::kubernetes::error::ask;
use crate::kubernetes::kinds::{
    ApiKind, DEPLOYMENT, ENVOY_FILTER, LEASE, SERVICE, SIDECAR, WASM_PLUGIN,
};
use crate::kubernetes::{label_namespace, lease};
use crate::publish::kubernetes::owner::{Owner, selector};

/// Nothing of ours has come back for so long: longer than a collector needs to see that it is switched off.
const QUIET: Duration = Duration::from_secs(3);
/// How often to look.
const LOOK: Duration = Duration::from_millis(250);
/// How long a collector that puts things back, or does not end, is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// What to take out.
#[derive(Clone, Debug)]
pub struct Uninstall {
    /// Namespace of lazymesh itself.
    pub namespace: String,
    /// Istio's root namespace, where the attachment is.
    pub root_namespace: String,
    /// The collector's Deployment, which is scaled to zero.
    pub deployment: String,
    /// Only what is for this revision.
    pub revision: Option<String>,
    /// How long istiod may take to give all sidecars their full scope.
    pub settle: Duration,
}

/// Why something of ours is still there.
#[derive(Debug, Error)]
pub enum UninstallError {
    /// The API server.
    #[error(transparent)]
    Kubernetes(#[from] KubernetesError),
    /// Somebody puts things back.
    #[error("{what} is still there or keeps coming back after {} s", PATIENCE.as_secs())]
    Stays {
        /// What.
        what: String,
    },
}

impl Uninstall {
    /// Takes everything out, and says what it does.
    ///
    /// # Errors
    /// [`UninstallError`]; what is gone by then is gone, and calling again goes on.
    pub async fn run(
        &self,
        client: &Client,
        mut tell: impl FnMut(&str) + Send,
    ) -> Result<(), UninstallError> {
        let owner = Owner {
            revision: self.revision.clone(),
        };
        let removal = Removal { client, owner };
        let sidecars = removal.find(&SIDECAR, Place::Anywhere).await?.len();
        if label_namespace(client, &self.namespace, Some("off")).await? {
            tell(&format!("namespace {}: {MODE_LABEL}: off", self.namespace));
        }
        // The collector, if it runs, is about to withdraw them as well.
        removal.clear(&SIDECAR, Place::Anywhere, &mut tell).await?;
        if sidecars > 0 {
            tell(&format!(
                "Sidecars: all {sidecars} gone; waiting {} s for istiod to give sidecars their full scope",
                self.settle.as_secs()
            ));
            sleep(self.settle).await;
        }
        // A WasmPlugin without its EnvoyFilter would run on every request.
        for (kind, namespace, names) in [
            (
                WASM_PLUGIN,
                &self.root_namespace,
                &["lazymesh", "lazymesh-tcp"][..],
            ),
            (
                ENVOY_FILTER,
                &self.root_namespace,
                &["lazymesh", "lazymesh-als"],
            ),
            (SERVICE, &self.namespace, &["lazymesh-ports"]),
        ] {
            let place = Place::Named { namespace, names };
            removal.clear(&kind, place, &mut tell).await?;
        }
        if self.stop(client).await? {
            let place = Place::Named {
                namespace: &self.namespace,
                names: &[lease::NAME],
            };
            removal.clear(&LEASE, place, &mut tell).await?;
            tell(&format!(
                "Deployment {}/{}: stopped",
                self.namespace, self.deployment
            ));
            if label_namespace(client, &self.namespace, None).await? {
                tell(&format!(
                    "namespace {}: {MODE_LABEL} removed",
                    self.namespace
                ));
            }
        } else {
            // A collector that somebody runs elsewhere would see itself switched on again, and attach.
            tell(&format!(
                "namespace {}: {MODE_LABEL} stays off, for there is no Deployment to stop; remove the label when no collector runs",
                self.namespace
            ));
        }
        Ok(())
    }

    /// Ends the collector, so that it does not see itself switched on again; `false` if there is none.
    async fn stop(&self, client: &Client) -> Result<bool, UninstallError> {
        let place = format!("Deployment {}/{}", self.namespace, self.deployment);
        let deployments = DEPLOYMENT.within(client, &self.namespace);
        let change = json!({ "spec": { "replicas": 0 } });
        let (params, change) = (PatchParams::default(), Patch::Merge(&change));
        match ask(
            &place,
            deployments.patch_scale(&self.deployment, &params, &change),
        )
        .await
        {
            Ok(_) => {}
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let deadline = Instant::now() + PATIENCE;
        while ask(&place, deployments.get_opt(&self.deployment))
            .await?
            .is_some_and(|it| replicas(&it) > 0)
        {
            if Instant::now() > deadline {
                return Err(UninstallError::Stays { what: place });
            }
            sleep(LOOK).await;
        }
        Ok(true)
    }
}

fn replicas(deployment: &DynamicObject) -> u64 {
    let replicas = deployment.data.pointer("/status/replicas");
    replicas.and_then(serde_json::Value::as_u64).unwrap_or(0)
}

/// Where objects of ours are.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// In all namespaces, by their label.
    Anywhere,
    /// Under these names, which are all that the chart grants to delete.
    Named {
        namespace: &'a str,
        names: &'a [&'a str],
    },
}

struct Removal<'a> {
    client: &'a Client,
    owner: Owner,
}

impl Removal<'_> {
    /// Removes everything of ours of a kind until nothing comes back.
    async fn clear(
        &self,
        kind: &ApiKind,
        place: Place<'_>,
        tell: &mut impl FnMut(&str),
    ) -> Result<(), UninstallError> {
        let deadline = Instant::now() + PATIENCE;
        // The first look finds nothing while the collector puts something back.
        let mut last = Instant::now();
        loop {
            let found = self.find(kind, place).await?;
            let now = Instant::now();
            if found.is_empty() && now > last + QUIET {
                return Ok(());
            }
            if now > deadline {
                return Err(UninstallError::Stays {
                    what: kind.kind.to_owned(),
                });
            }
            for object in &found {
                if self.remove(kind, object).await? {
                    last = Instant::now();
                    let namespace = object.namespace().unwrap_or_default();
                    tell(&format!(
                        "{} {namespace}/{}: deleted",
                        kind.kind,
                        object.name_any()
                    ));
                }
            }
            sleep(LOOK).await;
        }
    }

    /// Nothing where the kind does not exist.
    async fn find(
        &self,
        kind: &ApiKind,
        place: Place<'_>,
    ) -> Result<Vec<DynamicObject>, KubernetesError> {
        let found = match place {
            Place::Anywhere => {
                let ours = ListParams::default().labels(&selector());
                ask(kind.kind, kind.all(self.client).list(&ours))
                    .await
                    .map(|list| list.items)
            }
            Place::Named { namespace, names } => self.named(kind, namespace, names).await,
        };
        match found {
            Ok(mut found) => {
                found.retain(|object| self.owner.owns(object));
                Ok(found)
            }
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn named(
        &self,
        kind: &ApiKind,
        namespace: &str,
        names: &[&str],
    ) -> Result<Vec<DynamicObject>, KubernetesError> {
        let api = kind.within(self.client, namespace);
        let mut found = Vec::new();
        for name in names {
            found.extend(ask(kind.kind, api.get_opt(name)).await?);
        }
        Ok(found)
    }

    async fn remove(
        &self,
        kind: &ApiKind,
        object: &DynamicObject,
    ) -> Result<bool, KubernetesError> {
        let namespace = object.namespace().unwrap_or_default();
        let applier = Applier {
            api: kind.within(self.client, &namespace),
            owner: &self.owner,
            kind: kind.kind,
            namespace: &namespace,
        };
        applier.take_out(&object.name_any()).await
    }
}
