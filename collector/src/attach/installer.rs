//! Keeps the attachment in place: applied when the collector starts, when the mesh's HTTP ports change, and when
//! somebody has changed or deleted it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgAction, Args};
use ipnet::IpNet;
use kube::Client;
use lazymesh_core::EgressHost;
use lazymesh_envoyfilters::{AccessLog, Attachment, FilterConfig, IstioVersion};
use serde_json::Value;
use tokio::sync::watch;

use crate::attach::istio_version;
use crate::kubernetes::KubernetesConfig;
use crate::kubernetes::KubernetesError;
use crate::kubernetes::apply::Applier;
use crate::kubernetes::kinds::{ATTACHMENT, ENVOY_FILTER};
use crate::publish::kubernetes::owner::Owner;
use crate::publish::sink::PublishOutcome;
use crate::runtime::flag::number;
use crate::runtime::readiness::Readiness;

/// How often to look whether the objects are still as they should be.
const LOOK: Duration = Duration::from_secs(30);
/// How long to wait when that did not work.
const RETRY: Duration = Duration::from_secs(5);
/// The port of the collector that filters call.
const INGEST_PORT: u16 = 8480;

/// What to attach to the mesh's sidecars.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Attachment")]
pub struct AttachConfig {
    /// Attach the filter to all sidecars, and keep it attached: where they fetch the module, as in
    /// oci://registry.example/lazymesh/filter@sha256:…
    #[arg(
        long,
        value_name = "URL",
        env = "LAZYMESH_ATTACH",
        requires = "kubernetes"
    )]
    pub attach: Option<String>,
    /// Digest that the module's image must have, 64 characters of lower-case hex
    #[arg(
        long,
        value_name = "HEX",
        env = "LAZYMESH_ATTACH_SHA256",
        requires = "attach"
    )]
    pub attach_sha256: Option<String>,
    /// Version of Istio; without it, istiod's pods say it
    #[arg(
        long,
        value_name = "VERSION",
        env = "LAZYMESH_ISTIO",
        requires = "attach"
    )]
    pub istio: Option<IstioVersion>,
    /// Whether to decide connections that are not HTTP, and to record the hosts outside the mesh that they go to. Without this, hosts
    /// that have such ports are in every Sidecar; a WasmPlugin that is there for it stays, without effect
    #[arg(
        long,
        value_name = "BOOL",
        env = "LAZYMESH_ATTACH_TCP",
        default_value_t = true,
        action = ArgAction::Set
    )]
    pub attach_tcp: bool,
    /// Let sidecars send so many of a hundred requests and connections to --als, where they say what the filter never sees
    #[arg(
        long,
        value_name = "PERCENT",
        env = "LAZYMESH_ATTACH_ALS",
        value_parser = number(1..=100_u8),
        requires_all = ["attach", "als"]
    )]
    pub attach_als: Option<u8>,
}

/// What the attachment follows from besides its configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Desired {
    pub(crate) http_ports: BTreeSet<u16>,
    pub(crate) mesh_prefixes: Vec<IpNet>,
    pub(crate) root_namespace: String,
    /// Whether lazymesh is switched off: whoever did so takes the attachment out.
    pub(crate) off: bool,
}

/// Attaches the filter.
pub(crate) struct Installer {
    client: Client,
    owner: Owner,
    istio_namespace: String,
    /// The version that was asked for; else it is found out every time.
    istio: Option<IstioVersion>,
    attachment: Attachment,
    desired: watch::Receiver<Desired>,
    told: Option<String>,
    readiness: Arc<Readiness>,
}

impl Installer {
    /// `None` if nothing is to be attached.
    pub(crate) fn new(
        client: &Client,
        readiness: &Arc<Readiness>,
        config: &KubernetesConfig,
        collector_host: &EgressHost,
        desired: watch::Receiver<Desired>,
    ) -> Result<Option<Self>, KubernetesError> {
        let Some(image) = &config.attach.attach else {
            return Ok(None);
        };
        let host = &collector_host.host;
        let filter = FilterConfig::new(format!("outbound|{INGEST_PORT}||{host}"));
        let newest = IstioVersion::ALL[IstioVersion::ALL.len() - 1];
        let attachment = Attachment {
            namespace: config.namespace.clone(),
            sha256: config.attach.attach_sha256.clone(),
            tcp: config.attach.attach_tcp,
            als: config.attach.attach_als.map(|percent| AccessLog {
                host: host.clone(),
                percent,
            }),
            ..Attachment::new(config.attach.istio.unwrap_or(newest), image, filter)
        };
        attachment.check()?;
        Ok(Some(Self {
            client: client.clone(),
            owner: config.owner(),
            istio_namespace: config.istio_namespace.clone(),
            istio: config.attach.istio,
            attachment,
            desired,
            told: None,
            readiness: Arc::clone(readiness),
        }))
    }

    /// Attaches it for the first time, however long that takes; whether it is new to the mesh. What an earlier
    /// collector attached will do, as when Istio has become one that is not known.
    pub(crate) async fn settle(&mut self) -> bool {
        loop {
            if let Some(created) = self.look().await {
                return created;
            }
            if self.is_there().await {
                return false;
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Keeps it attached until nobody says any more what the mesh looks like.
    pub(crate) async fn run(mut self) {
        loop {
            let wait = if self.look().await.is_some() {
                LOOK
            } else {
                RETRY
            };
            tokio::select! {
                changed = self.desired.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Makes it as it should be; whether a part of it was not there, `None` when that did not work.
    async fn look(&mut self) -> Option<bool> {
        let desired = self.desired.borrow_and_update().clone();
        if desired.off {
            return Some(false);
        }
        let outcome = self.attach(&desired).await;
        self.tell(outcome.as_ref().err().map(ToString::to_string));
        outcome.ok()
    }

    /// Whether there is an attachment that decides requests, be it of another version.
    async fn is_there(&self) -> bool {
        let least = Attachment {
            tcp: false,
            als: None,
            ..self.attachment.clone()
        };
        for object in least.objects() {
            let Some((applier, name)) = self.applier(&object) else {
                continue;
            };
            if !matches!(applier.api.get_opt(name).await, Ok(Some(_))) {
                return false;
            }
        }
        true
    }

    async fn attach(&mut self, desired: &Desired) -> Result<bool, KubernetesError> {
        self.attachment
            .root_namespace
            .clone_from(&desired.root_namespace);
        self.attachment.http_ports.clone_from(&desired.http_ports);
        let prefixes = desired.mesh_prefixes.iter().map(ToString::to_string);
        self.attachment.config.mesh_prefixes = prefixes.collect();
        self.attachment.istio = match self.istio {
            Some(version) => version,
            None => istio_version::find(&self.client, &self.istio_namespace, &self.owner).await?,
        };
        self.attachment.check()?;
        let mut created = false;
        for mut object in self.attachment.objects() {
            self.owner.sign(&mut object);
            created |= self.apply(&object).await? == PublishOutcome::Created;
        }
        if self.attachment.als.is_none() {
            self.detach_access_logs().await?;
        }
        Ok(created)
    }

    /// Takes out what an earlier collector attached for access logs; what somebody else applied stays.
    async fn detach_access_logs(&self) -> Result<(), KubernetesError> {
        let namespace = &self.attachment.root_namespace;
        let applier = Applier {
            api: ENVOY_FILTER.within(&self.client, namespace),
            owner: &self.owner,
            kind: ENVOY_FILTER.kind,
            namespace,
        };
        match applier.take_out(&self.attachment.access_log_name()).await {
            Ok(_) | Err(KubernetesError::NotOurs { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn apply(&self, object: &Value) -> Result<PublishOutcome, KubernetesError> {
        let Some((applier, name)) = self.applier(object) else {
            return Ok(PublishOutcome::Unchanged);
        };
        let (outcome, _) = applier.put(name, object).await?;
        if outcome != PublishOutcome::Unchanged {
            let (kind, namespace) = (applier.kind, applier.namespace);
            tracing::info!(kind, namespace, name, ?outcome, istio = %self.attachment.istio, "attached");
        }
        Ok(outcome)
    }

    /// Where an object belongs, and its name.
    fn applier<'a>(&'a self, object: &'a Value) -> Option<(Applier<'a>, &'a str)> {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
        let kind = text("/kind")?;
        let kind = ATTACHMENT.iter().find(|known| known.kind == kind)?;
        let (namespace, name) = (text("/metadata/namespace")?, text("/metadata/name")?);
        let applier = Applier {
            api: kind.within(&self.client, namespace),
            owner: &self.owner,
            kind: kind.kind,
            namespace,
        };
        Some((applier, name))
    }

    /// A problem is told when it begins and when it ends, not at every look.
    fn tell(&mut self, problem: Option<String>) {
        match &problem {
            Some(problem) if self.told.as_ref() != Some(problem) => {
                tracing::error!(problem, "cannot attach the filter");
            }
            None if self.told.is_some() => tracing::info!("the filter is attached again"),
            _ => {}
        }
        let state = problem.clone().map_or(Ok(()), Err);
        self.readiness.attachment(state);
        self.told = problem;
    }
}
