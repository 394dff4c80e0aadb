//! Memory of a collector that has learned as much as its limits allow, of the longest names there are, while it is attacked, and
//! when it starts again on all of that.
//!
//! It runs in a control group with the memory that the chart gives it, so the kernel ends it if that is not enough.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use futures::future::try_join_all;
use http::Request;
use http_body_util::Full;
use lazymesh_protocol::{Protocol, REPORTS_PATH, Report, Reports, Source};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{
    load::{Connections, Outgoing},
    row::Row,
};
use crate::{
    cgroup::Cgroup,
    client::Plain,
    collector::{Collector, Options},
    manifests,
    network::Block,
    process::Process,
};

/// How much may be learned, and the memory for it.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Dependencies in all
    #[arg(long, default_value_t = 100_000)]
    pub dependencies: usize,
    /// External hosts in all
    #[arg(long, default_value_t = 100_000)]
    pub external_hosts: usize,
    /// Memory of the control group in MiB; 0 for no control group, which takes no root
    #[arg(long, default_value_t = 512)]
    pub memory: u64,
}

/// Each has its share of the limits.
const NAMESPACES: usize = 50;
/// Most that one report can have.
const PER_REPORT: usize = 250;
const CONNECTIONS: usize = 2;
/// Longest label of a name.
const LABEL: usize = 63;
/// Connections that send part of a body, and how much of it: more than the collector keeps.
const HALVES: usize = 700;
const HALF: usize = 60_000;
const READERS: usize = 4;
const DEAF: usize = 20;
const MIB: f64 = (1 << 20) as f64;

/// Measures.
///
/// # Errors
/// When the collector ends, as by the kernel for want of memory, or does not learn as much as it may.
pub async fn run(settings: &Settings) -> Result<Vec<Row>> {
    let block = Block::claim()?;
    let folder = tempfile::tempdir()?;
    let bytes = settings.memory << 20;
    let cgroup = (bytes > 0)
        .then(|| Cgroup::with_memory(bytes))
        .transpose()?;
    let options = options(folder.path(), &block, settings, cgroup.as_ref())?;
    let (ingest, admin) = (options.ingest(), options.admin());
    let mut collector = Collector::start(options).await?;
    let process = collector.process().context("no process")?;

    learn(ingest, settings).await?;
    // Just below the limits, for who has reached one has a small Sidecar: everything.
    let (dependencies, externals) = known(collector.admin()).await?;
    ensure!(
        dependencies * 10 >= settings.dependencies * 8
            && externals * 10 >= settings.external_hosts * 8,
        "expected most of {settings:?}, got {dependencies} dependencies and {externals} external hosts"
    );
    let full = resident(process)?;
    attack(ingest, admin, settings).await?;
    let attacked = peak(process)?;
    known(collector.admin()).await?;
    collector.restart().await?;
    let restarted = peak(collector.process().context("no process")?)?;
    ensure!(
        known(collector.admin()).await? == (dependencies, externals),
        "after a restart it knows something else"
    );

    let limit = if bytes > 0 { bytes as f64 / MIB } else { full };
    let mut rows = vec![
        Row::new("full", full, "MiB", limit),
        Row::new("attacked-peak", attacked, "MiB", limit),
        Row::new("restart-peak", restarted, "MiB", limit),
    ];
    if let Some(cgroup) = &cgroup {
        let used = cgroup.most_used()? as f64 / MIB;
        rows.push(Row::new("cgroup-peak", used, "MiB", limit));
    }
    drop(collector);
    Ok(rows)
}

fn resident(process: Process) -> Result<f64> {
    Ok(process.memory()?.resident as f64 / MIB)
}

fn peak(process: Process) -> Result<f64> {
    Ok(process.most_resident()? as f64 / MIB)
}

/// Dependencies and external hosts that it has.
async fn known(admin: &Plain) -> Result<(usize, usize)> {
    let metrics = admin.text("/metrics").await?;
    let gauge = |name: &str| {
        let mut lines = metrics.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.with_context(|| format!("no metric {name}"))
    };
    Ok((
        gauge("lazymesh_dependencies ")?,
        gauge("lazymesh_external_hosts ")?,
    ))
}

/// Every namespace calls as much as leaves one workload's share of room.
async fn learn(ingest: SocketAddr, settings: &Settings) -> Result<()> {
    let share = |all: usize| (all / (NAMESPACES + 1) / PER_REPORT).max(1);
    let (inside, outside) = (share(settings.dependencies), share(settings.external_hosts));
    let reports = NAMESPACES * (inside + outside);
    let next = AtomicUsize::new(0);
    let streams = (0..CONNECTIONS).map(|_| TcpStream::connect(ingest));
    let mut connections = Connections::over(try_join_all(streams).await?).await?;
    connections
        .run(|| {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let (workload, namespace) = (index / NAMESPACES, index % NAMESPACES);
            let host = if workload < inside { service } else { external };
            (index < reports)
                .then(|| report(namespace, workload, host).ok())
                .flatten()
        })
        .await?;
    Ok(())
}

fn report(namespace: usize, workload: usize, host: fn(usize) -> String) -> Result<Outgoing> {
    let report = |index| Report {
        authority: Some(host(index)),
        destination: None,
        protocol: Protocol::Http,
        count: 1,
    };
    let reports = Reports {
        source: Source {
            namespace: label("namespace", namespace),
            workload: label("workload", workload),
            cluster: None,
            service_account: None,
        },
        reports: (0..PER_REPORT).map(report).collect(),
        trouble: None,
    };
    Request::post(REPORTS_PATH)
        .header("host", "collector")
        .header("content-type", "application/json")
        .body(Full::new(serde_json::to_vec(&reports)?.into()))
        .context("request")
}

/// The longest label that begins and ends like this.
fn label(name: &str, number: usize) -> String {
    let number = number.to_string();
    let fill = "-".repeat(LABEL - name.len() - number.len());
    format!("{name}{fill}{number}")
}

/// The mesh's own, in its first namespace.
fn service(index: usize) -> String {
    format!("{}.{}:80", label("service", index), label("namespace", 0))
}

/// As long as a name can be.
fn external(index: usize) -> String {
    let label = label("host", index);
    format!("{label}.{label}.{label}.{}", "x".repeat(61))
}

/// Bodies that never end, graphs that nobody reads, graphs that are read, and all of it used once more.
async fn attack(ingest: SocketAddr, admin: SocketAddr, settings: &Settings) -> Result<()> {
    let mut halves = Vec::new();
    for _ in 0..HALVES {
        let mut stream = TcpStream::connect(ingest).await?;
        let head = "POST /v1/reports HTTP/1.1\r\nhost: collector\r\n\
                    content-type: application/json\r\ncontent-length: 65000\r\n\r\n";
        // The collector may close it at once: it takes back what is more than it keeps.
        let _ = stream.write_all(head.as_bytes()).await;
        let _ =
            tokio::time::timeout(Duration::from_millis(20), stream.write_all(&[b' '; HALF])).await;
        halves.push(stream);
    }
    let mut deaf = Vec::new();
    for _ in 0..DEAF {
        let mut stream = TcpStream::connect(admin).await?;
        let head = "GET /v1/graph HTTP/1.1\r\nhost: collector\r\n\r\n";
        stream.write_all(head.as_bytes()).await?;
        deaf.push(stream);
    }
    let readers = try_join_all((0..READERS).map(|_| async {
        let graph = Plain::new(admin).text("/v1/graph").await?;
        ensure!(graph.ends_with("]}"), "the graph ends in the middle");
        Ok(())
    }));
    tokio::try_join!(readers, learn(ingest, settings))?;
    Ok(())
}

fn options(
    folder: &Path,
    block: &Block,
    settings: &Settings,
    cgroup: Option<&Cgroup>,
) -> Result<Options> {
    let options = Options {
        address: block.address(2),
        manifests: folder.join("manifests"),
        sidecars: folder.join("sidecars"),
        store: folder.join("store"),
        log: folder.join("collector.log"),
        always: Vec::new(),
        flags: vec![
            format!("--max-dependencies-in-all={}", settings.dependencies),
            format!("--max-external-hosts-in-all={}", settings.external_hosts),
            "--usage-interval=5".to_owned(),
        ],
        cgroup: cgroup.map(Cgroup::processes),
    };
    for directory in [&options.manifests, &options.sidecars, &options.store] {
        fs::create_dir(directory)?;
    }
    let namespaces =
        (0..NAMESPACES).map(|index| manifests::namespace(&label("namespace", index), true));
    let items: Vec<Value> = namespaces.chain((0..PER_REPORT).map(object)).collect();
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
    fs::write(
        options.manifests.join("mesh.json"),
        serde_json::to_vec(&list)?,
    )?;
    Ok(options)
}

fn object(index: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": label("service", index), "namespace": label("namespace", 0) },
        "spec": {
            "clusterIP": format!("10.96.0.{index}"),
            "ports": [{ "name": "http", "port": 80 }],
        },
    })
}
