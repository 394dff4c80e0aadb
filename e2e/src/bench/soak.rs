//! Memory, disk and the patience of others while known external hosts are used again and again.
//!
//! Uses are written down every few seconds here, so that an hour has as many writes as days otherwise.

use std::{
    cell::Cell,
    fs,
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use http::Request;
use http_body_util::Full;
use lazymesh_protocol::{
    Protocol, REPORTS_PATH, RESOLVE_PATH, Report, Reports, ResolveRequest, Source,
};
use serde::Serialize;
use tokio::{
    net::TcpStream,
    time::{interval, sleep},
};

use super::{
    load::{Connections, Outgoing},
    pairs::percentile,
    row::Row,
};
use crate::{
    collector::{Collector, Options},
    manifests,
    network::Block,
    process::Process,
};

/// How long, and with how much.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Minutes that hosts are used for; 240 is the long form
    #[arg(long, default_value_t = 4)]
    minutes: u64,
    /// External hosts
    #[arg(long, default_value_t = 20_000)]
    hosts: usize,
    /// Seconds between two times that uses are written down
    #[arg(long, default_value_t = 10)]
    usage_interval: u64,
}

/// External hosts of one workload, which is how many one report can have.
const PER_WORKLOAD: usize = 250;
/// How long others meet new hosts, first while nothing is written, then while uses are.
const PROBE: Duration = Duration::from_secs(60);
const PACE: Duration = Duration::from_millis(50);
/// New hosts of one workload of theirs.
const PER_OTHER: usize = 400;
const MIB: f64 = (1 << 20) as f64;

pub(super) async fn run(settings: &Settings) -> Result<Vec<Row>> {
    let block = Block::claim()?;
    let folder = tempfile::tempdir()?;
    let options = options(folder.path(), &block, settings)?;
    let (ingest, store) = (options.ingest(), options.store.clone());
    let collector = Collector::start(options).await?;
    let process = collector.process().context("no process")?;

    let mut others = Others::connect(ingest).await?;
    let calm = others.meet(PROBE).await?;
    let mut users = connect(ingest).await?;
    let end = Instant::now() + Duration::from_secs(settings.minutes * 60);
    let using = async {
        let mut samples = Vec::new();
        while Instant::now() < end {
            use_all(&mut users, settings.hosts).await?;
            sleep(Duration::from_secs(settings.usage_interval) / 2).await;
            samples.push(Sample::take(process, &store)?);
        }
        anyhow::Ok(samples)
    };
    let (samples, busy) = tokio::try_join!(using, others.meet(PROBE))?;
    rows(&samples, &calm, &busy)
}

/// What the collector takes at one moment.
struct Sample {
    at: Instant,
    resident: f64,
    disk: f64,
}

impl Sample {
    fn take(process: Process, store: &Path) -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            resident: process.memory()?.resident as f64 / MIB,
            disk: size(store)? as f64 / MIB,
        })
    }
}

/// Bytes of all files below.
fn size(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        bytes += match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path())?,
            Ok(metadata) => metadata.len(),
            // The engine has just removed it.
            Err(_) => 0,
        };
    }
    Ok(bytes)
}

/// The first quarter fills caches. After it memory and disk should stay.
fn rows(samples: &[Sample], calm: &[f64], busy: &[f64]) -> Result<Vec<Row>> {
    let settled = &samples[samples.len() / 4..];
    let (first, last) = settled
        .first()
        .zip(settled.last())
        .context("it took no time")?;
    let p99 = |values: &[f64]| percentile(values, 0.99);
    Ok(vec![
        Row::new("resident", last.resident, "MiB", first.resident),
        Row::new("resident-slope", slope(settled), "MiB/h", 1.0),
        Row::new("disk", last.disk, "MiB", first.disk),
        Row::new("new-host-p99", p99(busy), "ms", p99(calm)),
    ])
}

/// Growth of memory in an hour, by least squares.
fn slope(samples: &[Sample]) -> f64 {
    let Some(first) = samples.first() else {
        return f64::NAN;
    };
    let count = samples.len() as f64;
    let points = samples.iter().map(|sample| {
        let hours = sample.at.duration_since(first.at).as_secs_f64() / 3_600.0;
        (hours, sample.resident)
    });
    let points: Vec<(f64, f64)> = points.collect();
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let (mut above, mut below) = (0.0, 0.0);
    for (x, y) in points {
        above += (x - mean_x) * (y - mean_y);
        below += (x - mean_x).powi(2);
    }
    above / below
}

/// Uses every host once.
async fn use_all(users: &mut Connections, hosts: usize) -> Result<()> {
    let next = AtomicUsize::new(0);
    users
        .run(|| {
            let workload = next.fetch_add(1, Ordering::Relaxed);
            let first = workload * PER_WORKLOAD;
            (first < hosts).then(|| report(workload).ok()).flatten()
        })
        .await?;
    Ok(())
}

fn report(workload: usize) -> Result<Outgoing> {
    let report = |index| Report {
        authority: Some(format!("host-{index}.example.com")),
        destination: None,
        protocol: Protocol::Http,
        count: 1,
    };
    let reports = Reports {
        source: source(&format!("user-{workload}")),
        reports: (0..PER_WORKLOAD).map(report).collect(),
        trouble: None,
    };
    post(REPORTS_PATH, &reports)
}

/// Those who meet new hosts meanwhile.
struct Others {
    connections: Connections,
    met: usize,
}

impl Others {
    async fn connect(ingest: SocketAddr) -> Result<Self> {
        Ok(Self {
            connections: connect(ingest).await?,
            met: 0,
        })
    }

    /// Meets a new host at each tick; the milliseconds that each took.
    async fn meet(&mut self, time: Duration) -> Result<Vec<f64>> {
        let end = Instant::now() + time;
        let mut ticks = interval(PACE);
        let mut took = Vec::new();
        while Instant::now() < end {
            ticks.tick().await;
            let question = ResolveRequest {
                source: source(&format!("other-{}", self.met / PER_OTHER)),
                authority: Some(format!("new-{}.example.org", self.met)),
                destination: None,
                protocol: Protocol::Http,
            };
            self.met += 1;
            let question = Cell::new(Some(post(RESOLVE_PATH, &question)?));
            let load = self.connections.run(|| question.take()).await?;
            took.push(load.milliseconds(1.0));
        }
        Ok(took)
    }
}

fn source(workload: &str) -> Source {
    Source {
        namespace: "shop".to_owned(),
        workload: workload.to_owned(),
        cluster: None,
        service_account: None,
    }
}

fn post(path: &str, body: &impl Serialize) -> Result<Outgoing> {
    Request::post(path)
        .header("host", "collector")
        .header("content-type", "application/json")
        .body(Full::new(serde_json::to_vec(body)?.into()))
        .context("request")
}

async fn connect(ingest: SocketAddr) -> Result<Connections> {
    Connections::over(vec![TcpStream::connect(ingest).await?]).await
}

fn options(folder: &Path, block: &Block, settings: &Settings) -> Result<Options> {
    let options = Options {
        address: block.address(2),
        manifests: folder.join("manifests"),
        sidecars: folder.join("sidecars"),
        store: folder.join("store"),
        log: folder.join("collector.log"),
        always: Vec::new(),
        flags: vec![format!("--usage-interval={}", settings.usage_interval)],
        cgroup: None,
    };
    for directory in [&options.manifests, &options.sidecars, &options.store] {
        fs::create_dir(directory)?;
    }
    let namespace = manifests::namespace("shop", true);
    fs::write(
        options.manifests.join("shop.json"),
        serde_json::to_vec(&namespace)?,
    )?;
    Ok(options)
}
