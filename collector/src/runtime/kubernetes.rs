//! Puts the parts on Kubernetes together.

use std::sync::Arc;
use std::{fs, path};

use kube::Client;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::attach::{Desired, Installer};
use crate::inventory::kubernetes::cluster_domain;
use crate::inventory::kubernetes::source::KubernetesSource;
use crate::kubernetes::lease::Lease;
use crate::kubernetes::{KubernetesError, events};
use crate::publish::kubernetes::KubernetesSink;
use crate::publish::kubernetes::cache::SidecarCache;
use crate::runtime::collector::Collector;
use crate::runtime::config::{Config, Home};

/// A Kubernetes that a collector reads from and publishes to.
pub(crate) struct Link {
    client: Client,
    cache: Arc<SidecarCache>,
    config: Config,
}

impl Link {
    /// Prepares the client; nothing is asked yet.
    ///
    /// # Errors
    /// [`KubernetesError`] when there is no way to the API server, or the attachment cannot be.
    pub(crate) async fn prepare(config: &Config) -> Result<Self, KubernetesError> {
        let client = config.kubernetes.connect.client().await?;
        Ok(Self {
            client,
            cache: Arc::default(),
            config: config.clone(),
        })
    }

    /// The right to write to the cluster, which one collector has at a time; none where it writes nothing.
    ///
    /// # Errors
    /// [`KubernetesError::Held`] when another collector has it.
    pub(crate) async fn lease(&self) -> Result<Option<Lease>, KubernetesError> {
        let Config {
            places, kubernetes, ..
        } = &self.config;
        if places.publish_dir.is_some() && kubernetes.attach.attach.is_none() {
            return Ok(None);
        }
        // A collector that was killed comes back under the same name, and has its Lease at once.
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let data = path::absolute(&places.data_dir).unwrap_or_else(|_| places.data_dir.clone());
        let holder = format!("{}:{}", host.trim(), data.display());
        let lease = Lease::acquire(&self.client, &kubernetes.namespace, holder).await?;
        Ok(Some(lease))
    }

    pub(crate) fn publisher(&self) -> KubernetesSink {
        KubernetesSink::new(
            self.client.clone(),
            self.config.kubernetes.owner(),
            Arc::clone(&self.cache),
        )
    }

    /// Reads the whole mesh, then follows it, and attaches the filter if that is asked for. Sidecars may be
    /// published once this is done: what has a small scope needs the filter.
    ///
    /// # Errors
    /// [`KubernetesError::Attachment`] when Kubernetes or Istio would not take the attachment.
    pub(crate) async fn follow(
        &self,
        collector: &Collector,
        tasks: &mut JoinSet<&'static str>,
    ) -> Result<(), KubernetesError> {
        let config = &self.config;
        // Who publishes elsewhere writes nothing here.
        if config.places.publish_dir.is_none() {
            let events = events::run(self.client.clone(), Arc::clone(collector.history()));
            tasks.spawn(async move {
                events.await;
                "events"
            });
        }
        let (attachment, desired) = watch::channel(Desired::default());
        let cluster_domain = match &config.mesh.cluster_domain {
            Some(given) => given.clone(),
            None => cluster_domain::find(&self.client, &config.kubernetes).await,
        };
        let home = Home {
            namespace: &config.kubernetes.namespace,
            cluster_domain: &cluster_domain,
        };
        let collector_host = config.visibility.collector_host(home);
        let installer = Installer::new(
            &self.client,
            collector.readiness(),
            &config.kubernetes,
            &collector_host,
            desired,
        )?;
        let options = config.kubernetes.source(&cluster_domain);
        let source = KubernetesSource::start(&self.client, options, Arc::clone(&self.cache));
        let attachment = installer.is_some().then_some(attachment);
        let visibility = config.visibility(home);
        let mut follower = collector.follower(
            source,
            config.mesh.cluster_id.clone(),
            visibility,
            attachment,
        );
        follower.sync().await;
        tasks.spawn(async move {
            follower.run().await;
            "inventory"
        });
        if let Some(mut installer) = installer {
            let is_new = installer.settle().await;
            // The mesh's ports may change from now on.
            tasks.spawn(async move {
                installer.run().await;
                "attachment"
            });
            if is_new {
                // Whose scope shrinks before its sidecar has the filter calls what it does not know in plain text.
                tokio::time::sleep(config.places.settle).await;
            }
        }
        Ok(())
    }
}
