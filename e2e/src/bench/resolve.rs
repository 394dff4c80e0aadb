//! Throughput of the collector's `POST /v1/resolve`, on one core, on its durable store, with 12,000 services in the
//! inventory, 2,000 of them TCP. The load comes from another core; where the machine has only one, both share it.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::future::try_join_all;
use http::Request;
use http_body_util::Full;
use lazymesh_protocol::{Protocol, RESOLVE_PATH, ResolveRequest, Source};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{
    load::{Connections, Load, Outgoing},
    pairs::Ratios,
    row::Row,
};
use crate::{
    collector::{Collector, Options},
    manifests,
    network::Block,
};

const SERVICES: usize = 10_000;
/// They come after the others.
const TCP_SERVICES: usize = 2_000;
const SERVICES_PER_FILE: usize = 500;
const WORKLOADS: usize = 100;
const CONNECTIONS: usize = 16;
/// Connections for new dependencies: a group commit gathers what they ask at the same time.
const WRITERS: usize = 128;
const LEAST_TURNS: usize = 5;
const MOST_TURNS: usize = 20;
const TURN: Duration = Duration::from_secs(2);
const NEW_PER_TURN: usize = 4_000;
/// A lone writer waits for the disk each time.
const ALONE_PER_TURN: usize = 200;

pub(super) fn run() -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure())
}

async fn measure() -> Result<Vec<Row>> {
    let block = Block::claim()?;
    let folder = tempfile::tempdir()?;
    let options = options(folder.path(), block.address(2))?;
    let ingest = options.ingest();
    let collector = start_alone(options).await?;

    let mut connections = connect(ingest, CONNECTIONS).await?;
    let known = request(0)?;
    let known_connection = connection(0)?;
    let live = livez()?;
    // Learns them, and warms up.
    connections.repeat(&known_connection, TURN).await?;
    connections.repeat(&known, TURN).await?;

    let mut turns = Turns::default();
    let (next, next_connection) = (AtomicUsize::new(1), AtomicUsize::new(1));
    let process = collector.process().context("the collector has ended")?;
    // What is known is measured first: after what is new the collector has Sidecars to publish.
    while !turns.are_enough() {
        let live = connections.repeat_on(process, &live, TURN).await?;
        let known = connections.repeat_on(process, &known, TURN).await?;
        turns.live.push(live);
        turns.known.push(known);
        let known = &known_connection;
        turns.tcp_known.push(connections.repeat(known, TURN).await?);
    }
    let mut writers = connect(ingest, WRITERS).await?;
    let mut alone = connect(ingest, 1).await?;
    for _ in 0..turns.known.len() {
        let new = unasked(request, &next, NEW_PER_TURN);
        turns.new.push(writers.run(new).await?);
        let new = unasked(request, &next, ALONE_PER_TURN);
        turns.alone.push(alone.run(new).await?);
        let new = unasked(connection, &next_connection, NEW_PER_TURN);
        turns.tcp_new.push(writers.run(new).await?);
    }
    Ok(turns.rows())
}

#[derive(Default)]
struct Turns {
    live: Vec<Load>,
    known: Vec<Load>,
    new: Vec<Load>,
    alone: Vec<Load>,
    tcp_known: Vec<Load>,
    tcp_new: Vec<Load>,
}

impl Turns {
    /// Whether known dependencies can be judged, by the collector's processor time.
    fn are_enough(&self) -> bool {
        let turns = self.known.len();
        let enough = || Ratios::of(&processor(&self.known), &processor(&self.live)).are_narrow();
        turns >= MOST_TURNS || (turns >= LEAST_TURNS && enough())
    }

    /// Known dependencies beside `/livez` of the same server; new ones beside a single client, who waits for the disk
    /// each time. Those of connections beside those of requests.
    fn rows(&self) -> Vec<Row> {
        let per_second =
            |loads: &[Load]| -> Vec<f64> { loads.iter().map(Load::per_second).collect() };
        let p99 = |loads: &[Load]| -> Vec<f64> {
            loads.iter().map(|load| load.milliseconds(0.99)).collect()
        };
        vec![
            Row::paired(
                "known-per-second",
                &per_second(&self.known),
                "requests/s",
                &per_second(&self.live),
            ),
            Row::paired(
                "known-cpu",
                &processor(&self.known),
                "µs",
                &processor(&self.live),
            ),
            Row::paired("known-p99", &p99(&self.known), "ms", &p99(&self.live)),
            Row::paired(
                "new-per-second",
                &per_second(&self.new),
                "requests/s",
                &per_second(&self.alone),
            ),
            Row::paired("new-p99", &p99(&self.new), "ms", &p99(&self.alone)),
            Row::paired(
                "tcp-known-per-second",
                &per_second(&self.tcp_known),
                "requests/s",
                &per_second(&self.known),
            ),
            Row::paired(
                "tcp-new-per-second",
                &per_second(&self.tcp_new),
                "requests/s",
                &per_second(&self.new),
            ),
        ]
    }
}

/// Microseconds of the collector's processor time for each request.
fn processor(loads: &[Load]) -> Vec<f64> {
    loads.iter().map(Load::processor_microseconds).collect()
}

/// Yields `count` questions that nobody has asked before.
fn unasked(
    question: fn(usize) -> Result<Outgoing>,
    next: &AtomicUsize,
    count: usize,
) -> impl Fn() -> Option<Outgoing> {
    let end = next.load(Ordering::Relaxed) + count;
    move || {
        let index = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |index| {
            (index < end).then_some(index + 1)
        });
        question(index.ok()?).ok()
    }
}

/// About a request of HTTP. Every workload asks for one service after the other.
pub(super) fn request(index: usize) -> Result<Outgoing> {
    let service = index / WORKLOADS;
    question(ResolveRequest {
        source: source(index),
        authority: Some(format!("service-{service}.shop:80")),
        destination: Some(format!("{}:80", cluster_ip(service))),
        protocol: Protocol::Http,
    })
}

/// About a connection of TCP.
fn connection(index: usize) -> Result<Outgoing> {
    let service = SERVICES + index / WORKLOADS;
    question(ResolveRequest {
        source: source(index),
        authority: None,
        destination: Some(format!("{}:5432", cluster_ip(service))),
        protocol: Protocol::Tcp,
    })
}

fn source(index: usize) -> Source {
    let workload = format!("caller-{}", index % WORKLOADS);
    Source {
        namespace: "callers".to_owned(),
        workload: workload.clone(),
        cluster: None,
        service_account: Some(workload),
    }
}

fn question(request: ResolveRequest) -> Result<Outgoing> {
    Request::post(RESOLVE_PATH)
        .header("host", "collector")
        .header("content-type", "application/json")
        .body(Full::new(serde_json::to_vec(&request)?.into()))
        .context("request")
}

pub(super) fn options(folder: &Path, address: Ipv4Addr) -> Result<Options> {
    let options = Options {
        address,
        manifests: folder.join("manifests"),
        sidecars: folder.join("sidecars"),
        store: folder.join("store"),
        log: folder.join("collector.log"),
        always: Vec::new(),
        flags: Vec::new(),
        cgroup: None,
    };
    for directory in [&options.manifests, &options.sidecars, &options.store] {
        fs::create_dir(directory)?;
    }
    // What is called calls nobody itself: to publish 12,000 Sidecars for it would take the core for minutes.
    let namespaces = [("callers", true), ("shop", false)];
    let namespaces = namespaces.map(|(name, enforced)| manifests::namespace(name, enforced));
    write(
        &options.manifests.join("namespaces.json"),
        namespaces.into(),
    )?;
    for first in (0..SERVICES + TCP_SERVICES).step_by(SERVICES_PER_FILE) {
        let services = first..first + SERVICES_PER_FILE;
        let objects = services.flat_map(objects).collect();
        write(
            &options.manifests.join(format!("services-{first}.json")),
            objects,
        )?;
    }
    Ok(options)
}

fn write(path: &Path, items: Vec<Value>) -> Result<()> {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
    Ok(fs::write(path, serde_json::to_vec(&list)?)?)
}

fn objects(index: usize) -> [Value; 3] {
    let [_, _, high, low] = (index as u32).to_be_bytes();
    manifests::running(
        "shop",
        &format!("service-{index}"),
        (cluster_ip(index), Ipv4Addr::new(10, 244, high, low)),
        if index < SERVICES {
            ("http", 80)
        } else {
            ("tcp", 5432)
        },
        true,
    )
}

fn cluster_ip(index: usize) -> Ipv4Addr {
    let [_, _, high, low] = (index as u32).to_be_bytes();
    Ipv4Addr::new(10, 96, high, low)
}

async fn connect(address: SocketAddr, count: usize) -> Result<Connections> {
    let streams = (0..count).map(|_| TcpStream::connect(address));
    Connections::over(try_join_all(streams).await?).await
}

/// Starts a collector on a core of its own, where there are two.
pub(super) async fn start_alone(options: Options) -> Result<Collector> {
    let cores = thread::available_parallelism()?.get();
    // A child inherits the core of the thread that starts it.
    stay_on(0)?;
    let collector = Collector::start(options).await?;
    stay_on(cores.saturating_sub(1).min(1))?;
    Ok(collector)
}

/// What is measured beside: the least that a collector can do for a request.
pub(super) fn livez() -> Result<Request<Full<Bytes>>> {
    let request = Request::get("/livez").header("host", "collector");
    Ok(request.body(Full::default())?)
}

fn stay_on(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).context("sched_setaffinity")
}
