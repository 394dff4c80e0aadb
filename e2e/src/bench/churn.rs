//! Dependencies that are forgotten and learned again, over and over, under load: what becomes of requests on connections
//! that are kept, of a stream, and of sessions of TCP.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::row::Row;
use crate::{
    lab::{
        Lab, Lazymesh, LazymeshOptions, Options as LabOptions, Outcomes, Pod, PodSpec, SERVERS,
        Tally,
    },
    wait,
};

/// A change takes istiod's debounce and a push, with the machine busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// Sessions of TCP that are meant to last.
const SESSIONS: usize = 10;
/// Most requests a second that one connection has.
const PER_CONNECTION: u64 = 100;
/// The server of TCP: TLS of its own.
const SERVER: &str = "secure";

/// How often, and under how much.
#[derive(Args, Clone, Copy, Debug)]
pub struct Settings {
    /// How often everything is forgotten and learned again
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    pub cycles: u64,
    /// Requests a second meanwhile
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    pub rate: u64,
}

/// What was lost.
#[derive(Debug, Default)]
pub struct Churned {
    /// Requests.
    pub requests: Tally,
    /// Streams that ended, of one in each cycle.
    pub streams: u64,
    /// Sessions of TCP that ended, of ten in each cycle.
    pub sessions: u64,
    /// New sessions that were refused, of one in each cycle.
    pub refused: u64,
    /// Why sessions and streams were lost, once for each cycle that lost any.
    pub reasons: Vec<String>,
}

/// Starts a lab of its own and churns in it.
pub(super) async fn run(settings: &Settings) -> Result<Vec<Row>> {
    let lab = Lab::start(LabOptions::default()).await?;
    let lazymesh = Lazymesh::install(&lab, &LazymeshOptions::default()).await?;
    let churned = churn(&lab, &lazymesh, "churn", *settings).await;
    if churned.is_err() {
        lab.keep()?;
    }
    let churned = churned.with_context(|| format!("logs are in {}", lab.folder().display()))?;
    for reason in churned.requests.failures.iter().chain(&churned.reasons) {
        eprintln!("{reason}");
    }
    let row = |name: &str, lost: u64, of: u64| Row::new(name, lost as f64, "lost", of as f64);
    let cycles = settings.cycles;
    Ok(vec![
        row("requests", churned.requests.failed, churned.requests.sent),
        row("streams", churned.streams, cycles),
        row("sessions", churned.sessions, cycles * SESSIONS as u64),
        row("new-sessions", churned.refused, cycles),
    ])
}

/// Churns in a lab, in a namespace that nothing else uses.
///
/// # Errors
/// When a part fails; what is lost is no error.
pub async fn churn(
    lab: &Lab,
    lazymesh: &Lazymesh,
    namespace: &str,
    settings: Settings,
) -> Result<Churned> {
    lab.namespace(namespace, &[("lazymesh.io/mode", "enforce")])
        .await?;
    lab.strict_mtls(namespace).await?;
    lab.service(namespace, "server").await?;
    let secure = SERVERS.iter().find(|server| server.name == SERVER);
    let secure = secure.context("no server of TLS")?;
    let (client, _server, _secure) = tokio::try_join!(
        lab.pod(PodSpec::new(namespace, "client")),
        lab.pod(PodSpec::new(namespace, "server")),
        secure.start(lab, namespace),
    )?;
    for (service, port) in [("server", 80), ("server", 81), (SERVER, secure.ports[0])] {
        lab.until_reachable(namespace, service, port).await?;
    }
    let churn = Churn {
        lazymesh,
        namespace,
        client: &client,
        tcp: (secure.url.to_owned(), secure.ports[0]),
    };
    churn.run(settings).await
}

struct Churn<'a> {
    lazymesh: &'a Lazymesh,
    namespace: &'a str,
    client: &'a Pod,
    /// URL and port of the server of TCP.
    tcp: (String, u16),
}

impl Churn<'_> {
    async fn run(&self, settings: Settings) -> Result<Churned> {
        self.until_lazy().await?;
        let connections = settings.rate.div_ceil(PER_CONNECTION).max(1);
        let urls: Vec<String> = (0..connections)
            .map(|index| format!("http://server/{index}"))
            .collect();
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        let every = Duration::from_secs(connections) / u32::try_from(settings.rate.max(1))?;
        let mut living = self.client.sessions(std::slice::from_ref(&self.tcp.0))?;
        let mut brief = self.client.sessions(std::slice::from_ref(&self.tcp.0))?;
        let mut stream = self.client.grpc_stream("http://server:81")?;
        living.open(SESSIONS).await?;
        let traffic = self.client.traffic(&urls, every)?;
        let mut churned = Churned::default();
        for cycle in 0..settings.cycles {
            self.until_known().await?;
            self.forget().await?;
            churned.refused += lost(&brief.open(1).await?, &mut churned.reasons);
            brief.close().await?;
            let ended = lost(&living.use_all().await?, &mut churned.reasons);
            if ended > 0 {
                churned.sessions += ended;
                living.close().await?;
                living.open(SESSIONS).await?;
            }
            if let Err(error) = stream.next().await {
                churned.streams += 1;
                churned.reasons.push(format!("cycle {cycle}: {error:#}"));
                stream = self.client.grpc_stream("http://server:81")?;
            }
        }
        self.until_known().await?;
        churned.requests = traffic.stop().await?;
        Ok(churned)
    }

    /// Has all be forgotten, and waits until a request has met the filter again.
    async fn forget(&self) -> Result<()> {
        let before = self.unresolved().await?;
        self.lazymesh.forget(self.namespace, "client").await?;
        wait::until_within("a host to be met again", PATIENCE, async || {
            let now = self.unresolved().await?;
            ensure!(now > before, "{now} have met the filter");
            Ok(())
        })
        .await
    }

    /// Waits until the sidecar knows nothing yet: what is called before is learned by nobody.
    async fn until_lazy(&self) -> Result<()> {
        let cluster = self.cluster();
        wait::until_within("the client to be lazy", PATIENCE, async || {
            ensure!(!self.client.has_cluster(&cluster).await?, "has {cluster}");
            Ok(())
        })
        .await
    }

    fn cluster(&self) -> String {
        let (namespace, port) = (self.namespace, self.tcp.1);
        format!("outbound|{port}||{SERVER}.{namespace}.svc.cluster.local")
    }

    /// Waits until the sidecar knows both servers by their own clusters and listeners.
    async fn until_known(&self) -> Result<()> {
        let cluster = self.cluster();
        wait::until_within("what is called to be known", PATIENCE, async || {
            ensure!(self.client.has_cluster(&cluster).await?, "no {cluster}");
            for port in [80, 81] {
                let host = format!("server.{}.svc.cluster.local", self.namespace);
                ensure!(
                    self.client.has_host(port, &host).await?,
                    "no routes of {host}:{port}"
                );
            }
            Ok(())
        })
        .await
    }

    async fn unresolved(&self) -> Result<u64> {
        self.client.filter_metric("lazymesh_unresolved").await
    }
}

/// How many failed; their first reason is kept.
fn lost(outcomes: &Outcomes, reasons: &mut Vec<String>) -> u64 {
    let failures = outcomes.values().flat_map(|outcome| &outcome.failures);
    let failures: Vec<&String> = failures.collect();
    reasons.extend(failures.first().map(|first| (*first).clone()));
    failures.len() as u64
}
