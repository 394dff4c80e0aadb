use std::path::PathBuf;

use lazymesh_protocol::FilterConfig;
use serde_json::Value;

use super::names::collector_cluster;
use crate::{
    fake_collector::Behaviour,
    service::{External, Service},
    simulation::istiod::OutboundTrafficPolicy,
};

/// What the sidecar has of the filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// Nothing of the attachment at all.
    None,
    /// The attachment, with the real module.
    #[default]
    Attached,
    /// The attachment, but the filter runs on every request.
    AlwaysOn,
    /// The attachment, with another module.
    Module(PathBuf),
    /// The attachment, but the module could not be fetched: istio-agent then delivers an RBAC filter without rules.
    DownloadFailed,
}

/// Who is asked.
#[derive(Clone, Debug, Default)]
pub enum CollectorKind {
    /// The real collector.
    #[default]
    Real,
    /// One that misbehaves.
    Fake(Behaviour),
    /// Nobody: connections are refused.
    Down,
}

/// Describes a [`Mesh`](super::Mesh).
#[derive(Clone, Debug)]
pub struct MeshBuilder {
    pub(super) services: Vec<Service>,
    pub(super) externals: Vec<External>,
    pub(super) manifests: Vec<Value>,
    pub(super) policy: OutboundTrafficPolicy,
    pub(super) filter: Filter,
    pub(super) config: FilterConfig,
    pub(super) collector: CollectorKind,
    pub(super) concurrency: u32,
    pub(super) access_log: bool,
    pub(super) als: Option<u8>,
    pub(super) collector_flags: Vec<String>,
}

impl Default for MeshBuilder {
    fn default() -> Self {
        Self {
            services: Vec::new(),
            externals: Vec::new(),
            manifests: Vec::new(),
            policy: OutboundTrafficPolicy::default(),
            filter: Filter::default(),
            config: FilterConfig::new(collector_cluster()),
            collector: CollectorKind::default(),
            concurrency: 2,
            access_log: true,
            als: None,
            collector_flags: Vec::new(),
        }
    }
}

impl MeshBuilder {
    /// Adds a service.
    #[must_use]
    pub fn service(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// Adds a host outside the mesh.
    #[must_use]
    pub fn external(mut self, external: External) -> Self {
        self.externals.push(external);
        self
    }

    /// Adds a manifest to what the collector reads.
    #[must_use]
    pub fn manifest(mut self, manifest: Value) -> Self {
        self.manifests.push(manifest);
        self
    }

    /// Sets the mesh's outbound traffic policy.
    #[must_use]
    pub fn policy(mut self, policy: OutboundTrafficPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Says what the sidecar has of the filter.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Changes the filter's configuration.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut FilterConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Says who is asked.
    #[must_use]
    pub fn collector(mut self, collector: CollectorKind) -> Self {
        self.collector = collector;
        self
    }

    /// Sets the sidecar's worker threads.
    #[must_use]
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }

    /// Sends so many of a hundred entries of the access log to the collector.
    #[must_use]
    pub fn als(mut self, percent: u8) -> Self {
        self.als = Some(percent);
        self
    }

    /// Gives the real collector these flags.
    #[must_use]
    pub fn collector_flags(mut self, flags: &[&str]) -> Self {
        self.collector_flags = flags.iter().map(ToString::to_string).collect();
        self
    }

    /// Leaves out the sidecar's access log, for measurements.
    #[must_use]
    pub fn without_access_log(mut self) -> Self {
        self.access_log = false;
        self
    }
}
