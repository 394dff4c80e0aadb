//! A stand-in for istiod: turns the Sidecars that lazymesh publishes into one sidecar's clusters, listeners and routes.
//!
//! It knows as much of Istio as the scenarios need: which Sidecar selects a workload, the names and domains that
//! Istio gives clusters and virtual hosts, auto mTLS, the outbound traffic policy, and the debounce. It does not
//! know DestinationRules or VirtualServices: the clusters that they shape have the same names.

mod clusters;
mod listeners;
mod routes;
mod scope;

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use lazymesh_core::{EgressHost, Stage};
use lazymesh_envoyfilters::AccessLog;
use serde_json::Value;
use tokio::task::AbortHandle;

pub use scope::Scope;

use crate::simulation::envoy::{Sources, files, files::Files};

/// istiod waits that long after a change for another one (`PILOT_DEBOUNCE_AFTER`).
const DEBOUNCE: Duration = Duration::from_millis(100);
const POLL: Duration = Duration::from_millis(10);

/// One service as istiod sees it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Namespace of the service.
    pub namespace: String,
    /// Short name.
    pub name: String,
    /// Service port.
    pub port: u16,
    /// Cluster IP.
    pub cluster_ip: Ipv4Addr,
    /// Its one endpoint.
    pub endpoint: SocketAddr,
    /// Service account of the endpoint, if it speaks mesh mTLS.
    pub service_account: Option<String>,
    /// What the port's name says.
    pub protocol: Protocol,
}

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Nothing that Istio reads.
    Tcp,
}

impl Entry {
    /// Fully qualified name.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.{}.svc.cluster.local", self.name, self.namespace)
    }

    /// As a Sidecar names it.
    #[must_use]
    pub fn egress_host(&self) -> EgressHost {
        EgressHost {
            namespace: self.namespace.clone(),
            host: self.host(),
        }
    }

    /// Istio's name of its cluster.
    #[must_use]
    pub fn cluster(&self) -> String {
        format!("outbound|{}||{}", self.port, self.host())
    }
}

/// What happens to traffic for hosts outside a sidecar's scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutboundTrafficPolicy {
    /// It goes where the application dialled (`ALLOW_ANY`).
    #[default]
    AllowAny,
    /// It is refused (`REGISTRY_ONLY`).
    RegistryOnly,
}

/// What the attachment's EnvoyFilter adds to routes and clusters.
#[derive(Clone, Debug)]
pub struct Patches {
    /// Merged into the catch-all virtual host.
    pub virtual_host: Value,
    /// Merged into the route `allow_any` of the virtual host of that name.
    pub allow_any_route: Value,
    /// First route of the catch-all virtual host.
    pub first_route: Value,
    /// Additional cluster.
    pub cluster: Value,
}

/// All that istiod knows about the mesh and about the one sidecar that it configures.
#[derive(Clone, Debug)]
pub struct Config {
    /// Services.
    pub registry: Vec<Entry>,
    /// Ports that have a listener, and so a route table.
    pub http_ports: BTreeSet<u16>,
    /// Namespace of the sidecar's workload.
    pub namespace: String,
    /// Canonical name of the sidecar's workload.
    pub workload: String,
    /// Outbound traffic policy of the mesh.
    pub policy: OutboundTrafficPolicy,
    /// The access logs that the collector gets, if any.
    pub als: Option<AccessLog>,
    /// The attachment, if there is one.
    pub patches: Option<Patches>,
    /// Where Sidecars are published.
    pub sidecars: PathBuf,
    /// Where the sidecar reads its configuration.
    pub files: Files,
}

/// The running stand-in. It stops when dropped.
pub struct Istiod {
    paused: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Istiod {
    /// Writes the sidecar's configuration, and keeps it up to date with what is published.
    ///
    /// # Errors
    /// When a Sidecar cannot be read, or the configuration cannot be written.
    pub fn start(config: Config) -> Result<Self> {
        let paused = Arc::new(AtomicBool::new(false));
        let scope = Scope::read(&config.sidecars, &config.namespace, &config.workload)?;
        config.push(&scope)?;
        let task = tokio::spawn(follow(config, scope, Arc::clone(&paused))).abort_handle();
        Ok(Self { paused, task })
    }

    /// Pushes nothing any more: an istiod that is down, or slower than anybody waits.
    pub fn pause(&self) {
        self.paused.store(true, Ordering::Relaxed);
    }
}

impl Drop for Istiod {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(config: Config, mut pushed: Scope, paused: Arc<AtomicBool>) {
    let mut seen = pushed.clone();
    let mut changed = Instant::now();
    loop {
        tokio::time::sleep(POLL).await;
        if paused.load(Ordering::Relaxed) {
            continue;
        }
        // A file that cannot be read now is read at the next turn.
        let Ok(scope) = Scope::read(&config.sidecars, &config.namespace, &config.workload) else {
            continue;
        };
        if scope != seen {
            seen = scope;
            changed = Instant::now();
        } else if seen != pushed && changed.elapsed() >= DEBOUNCE && config.push(&seen).is_ok() {
            pushed = seen.clone();
        }
    }
}

impl Config {
    /// Clusters first: a route must never name a cluster that is not there yet.
    fn push(&self, scope: &Scope) -> Result<()> {
        let stage = |entry: &Entry| scope.stage(&entry.egress_host(), &self.namespace);
        let with_clusters = |entry: &&Entry| stage(entry).is_some();
        let with_clusters: Vec<&Entry> = self.registry.iter().filter(with_clusters).collect();
        let with_routes = |entry: &&Entry| stage(entry) == Some(Stage::Routes);
        let entries: Vec<&Entry> = self.registry.iter().filter(with_routes).collect();
        let sources = Sources::new(self.files.clone());
        let clusters = clusters::all(&with_clusters, self.patches.as_ref());
        let clusters: Vec<Value> = clusters
            .into_iter()
            .map(|cluster| sources.swap(cluster))
            .collect();
        files::replace(&self.files.cds(), &clusters)?;
        files::replace(
            &self.files.lds(),
            &listeners::all(&entries, self.als.as_ref()),
        )?;
        for port in &self.http_ports {
            let table = routes::table(*port, &entries, self);
            files::replace(&self.files.rds(&port.to_string()), &[table])?;
        }
        Ok(())
    }
}
