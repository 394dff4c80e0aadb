//! Gives a collector its listeners, source and sink, runs it, and takes it down in order.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use lazymesh_core::Mesh;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api::for_this_machine;
use crate::ingest::IngestIdentity;
use crate::inventory::Manifests;
use crate::inventory::directory::SourceError;
use crate::kubernetes::KubernetesError;
use crate::kubernetes::lease::Lease;
use crate::prometheus::{Client, PrometheusError};
use crate::publish::directory::DirectorySink;
use crate::publish::sink::{Sink, SinkError};
use crate::runtime::collector::Collector;
use crate::runtime::config::{Config, Home, NAMESPACE};
use crate::runtime::kubernetes::Link;
use crate::runtime::listen::{Addresses, ListenError, Listeners, is_loopback};
use crate::runtime::serve::{self, Room};
use crate::spans::{Spans, SpansError};
use crate::store::{SledStore, StoreError};

/// What the connections of the ingest port share.
const INGEST_ROOM: Room = Room {
    connections: 4_096,
    unread: 32 << 20,
};
/// What the connections of the port for access logs share.
const ALS_ROOM: Room = Room {
    connections: 512,
    unread: 0,
};
/// What the connections of the port for probes share.
const PROBES_ROOM: Room = Room {
    connections: 64,
    unread: 1 << 20,
};
/// What the connections of the admin port share.
const ADMIN_ROOM: Room = Room {
    connections: 256,
    unread: 4 << 20,
};

/// Why a collector does not start, or stopped by itself.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The listeners.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The manifests.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The directory that Sidecars are published to.
    #[error("cannot publish: {0}")]
    Sink(#[from] SinkError),
    /// Prometheus.
    #[error(transparent)]
    Prometheus(#[from] PrometheusError),
    /// Spans.
    #[error(transparent)]
    Spans(#[from] SpansError),
    /// Kubernetes.
    #[error(transparent)]
    Kubernetes(#[from] KubernetesError),
    /// Nothing says what is in the mesh.
    #[error("nothing says what is in the mesh: expected --manifests or --kubernetes")]
    NoInventory,
    /// The store takes nothing more.
    #[error(
        "the store has failed, so this collector ends: its next start opens the store anew ({0})"
    )]
    StoreDied(String),
    /// A thread of the collector died.
    #[error("the thread of the {0} died; the log says why")]
    Died(&'static str),
}

/// Where it is read what is in the mesh.
enum Origin {
    Directory(PathBuf),
    Kubernetes(Box<Link>),
}

/// A collector whose store is open and whose listeners are bound, and that does not serve yet.
pub struct Server {
    collector: Collector,
    listeners: Listeners,
    config: Config,
    publisher: Option<Arc<dyn Sink>>,
    link: Option<Link>,
    lease: Option<Lease>,
    prometheus: Option<Client>,
}

impl Server {
    /// Checks the configuration, opens the store and binds the listeners.
    ///
    /// # Errors
    /// [`ServerError`] says which flag or directory is wrong.
    pub async fn start(config: Config) -> Result<Self, ServerError> {
        let prometheus = Client::new(&config.prometheus)?;
        let spans = Spans::new(&config.spans)?;
        let listeners = config.listen.bind().await?;
        let places = config.places.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let store = match places.accept_damage {
                true => SledStore::open_accepting_damage(&places.data_dir)?,
                false => SledStore::open(&places.data_dir)?,
            };
            let publisher = places
                .publish_dir
                .as_deref()
                .map(DirectorySink::open)
                .transpose()?;
            Ok::<_, ServerError>((store, publisher))
        });
        let (store, publisher) = opened.await.map_err(|_| ServerError::Died("store"))??;
        let publisher = publisher.map(|publisher| Arc::new(publisher) as Arc<dyn Sink>);
        let link = match config.kubernetes.kubernetes {
            true => Some(Link::prepare(&config).await?),
            false => None,
        };
        let lease = match &link {
            Some(link) => link.lease().await?,
            None => None,
        };
        let publisher = publisher.or_else(|| Some(Arc::new(link.as_ref()?.publisher())));
        let mesh = Mesh::from(config.mesh.clone());
        let home = Home {
            namespace: NAMESPACE,
            cluster_domain: &mesh.cluster_domain,
        };
        // With Kubernetes both are found out there, before anything is published.
        let policy = config.policy(home);
        let limits = config.limits.clone().into();
        let store = Arc::new(store);
        let collector = Collector::with_spans(store, mesh, limits, policy, spans);
        // Of two collectors the one that is refused leaves the other's file alone.
        config.listen.tell(&listeners.addresses)?;
        Ok(Self {
            collector,
            listeners,
            config,
            publisher,
            link,
            lease,
            prometheus,
        })
    }

    /// What the listeners are bound to.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.listeners.addresses
    }

    /// Serves until `shutdown` is ready: then stops accepting, lets requests in flight finish (5 s at most),
    /// and closes the store.
    ///
    /// # Errors
    /// When the store or the inventory cannot be read, or a part of the collector died.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), ServerError> {
        let Self {
            collector,
            listeners,
            config,
            publisher,
            link,
            lease,
            prometheus,
        } = self;
        let origin = match &config.places.manifests {
            Some(manifests) => Some(Origin::Directory(manifests.clone())),
            None => link.map(|link| Origin::Kubernetes(Box::new(link))),
        };
        let Addresses { ingest, admin, .. } = listeners.addresses;
        tracing::info!(%ingest, %admin, "listening");
        let (stop, stopped) = watch::channel(false);
        let mut servers = spawn_servers(&collector, listeners, &stopped);

        let readiness = Arc::clone(collector.readiness());
        let mut tasks = JoinSet::new();
        if let Some(client) = prometheus {
            let failures = collector.failures(client.clone(), &config.prometheus);
            tasks.spawn(async move {
                failures.run().await;
                "look at canaries through Prometheus"
            });
            let reader = collector.reader(client, &config.prometheus);
            tasks.spawn(async move {
                reader.run().await;
                "reader of Prometheus"
            });
        }
        let result = tokio::select! {
            result = live(&collector, &config, origin, publisher, &mut tasks) => result,
            error = keep(lease.as_ref()) => Err(error.into()),
            reason = readiness.died() => Err(ServerError::StoreDied(reason)),
            () = shutdown => Ok(()),
        };
        tracing::info!("shutting down");
        stop.send_replace(true);
        collector.end_events();
        while servers.join_next().await.is_some() {}
        tasks.shutdown().await;
        let closed = collector.close().await;
        if let Some(lease) = lease {
            lease.release().await;
        }
        result?;
        Ok(closed?)
    }
}

/// Ends when another collector has the Lease.
async fn keep(lease: Option<&Lease>) -> KubernetesError {
    match lease {
        Some(lease) => lease.keep().await,
        None => std::future::pending().await,
    }
}

fn guarded(router: Router, is_open: bool) -> Router {
    match is_open {
        true => for_this_machine(router),
        false => router,
    }
}

fn spawn_servers(
    collector: &Collector,
    listeners: Listeners,
    stopped: &watch::Receiver<bool>,
) -> JoinSet<()> {
    let Listeners {
        ingest,
        admin,
        als,
        probes,
        identity,
        token,
        addresses,
    } = listeners;
    // Who is on this machine alone may call without being asked who it is, but not on behalf of a web page.
    let is_open = matches!(identity, IngestIdentity::None) && is_loopback(addresses.ingest);
    let router = guarded(collector.ingest(identity.clone()), is_open);
    let mut servers = JoinSet::new();
    servers.spawn(serve::http1(ingest, router, INGEST_ROOM, stopped.clone()));
    let is_open = token.is_none();
    let router = guarded(collector.admin(token), is_open);
    servers.spawn(serve::http1(admin, router, ADMIN_ROOM, stopped.clone()));
    if let Some(als) = als {
        let router = collector.access_logs(identity, stopped.clone());
        servers.spawn(serve::http2(als, router, ALS_ROOM, stopped.clone()));
    }
    if let Some(probes) = probes {
        let router = collector.probes();
        servers.spawn(serve::http1(probes, router, PROBES_ROOM, stopped.clone()));
    }
    servers
}

/// Loads, syncs, then publishes and follows changes for ever.
async fn live(
    collector: &Collector,
    config: &Config,
    origin: Option<Origin>,
    publisher: Option<Arc<dyn Sink>>,
    tasks: &mut JoinSet<&'static str>,
) -> Result<(), ServerError> {
    collector.load().await?;
    match origin.ok_or(ServerError::NoInventory)? {
        Origin::Directory(path) => follow_manifests(collector, config, path, tasks).await?,
        Origin::Kubernetes(link) => link.follow(collector, tasks).await?,
    }
    if let Some(publisher) = publisher {
        let reconciler = collector.reconciler(publisher, config.places.settle);
        let readiness = Arc::clone(collector.readiness());
        tasks.spawn(async move {
            readiness.whole_once().await;
            reconciler.run().await;
            "publisher"
        });
    }
    let usage = collector.usage();
    let interval = Duration::from_secs(config.places.usage_interval);
    tasks.spawn(async move {
        usage.run(interval).await;
        "usage"
    });
    let (forgetter, after) = (collector.forgetter(), config.limits.forget_after);
    tasks.spawn(async move {
        forgetter.run(after).await;
        "forgetter"
    });
    let filters = collector.filters();
    tasks.spawn(async move {
        filters.run().await;
        "filters"
    });
    let canaries = collector.canaries();
    tasks.spawn(async move {
        canaries.run().await;
        "canaries"
    });
    let expirer = collector.expirer();
    tasks.spawn(async move {
        expirer.run().await;
        "expirer"
    });
    match tasks.join_next().await {
        Some(Ok(part)) => Err(ServerError::Died(part)),
        Some(Err(_)) | None => Err(ServerError::Died("collector")),
    }
}

/// Reads the whole directory, then follows it.
async fn follow_manifests(
    collector: &Collector,
    config: &Config,
    path: PathBuf,
    tasks: &mut JoinSet<&'static str>,
) -> Result<(), ServerError> {
    let mesh = Mesh::from(config.mesh.clone());
    let visibility = config.visibility(Home {
        namespace: NAMESPACE,
        cluster_domain: &mesh.cluster_domain,
    });
    let opened = tokio::task::spawn_blocking(move || Manifests::open(&path, mesh));
    let source = opened.await.map_err(|_| ServerError::Died("inventory"))??;
    let mut follower = collector.follower(source, config.mesh.cluster_id.clone(), visibility, None);
    follower
        .sync()
        .await
        .ok_or(ServerError::Died("inventory"))?;
    tasks.spawn(async move {
        follower.run().await;
        "inventory"
    });
    Ok(())
}
