//! How long filters wait while people and programs read all that the collector has, again and again.
//!
//! 10,000 services, 50,000 hosts outside the mesh, a thousand workloads; four readers of one list at a time, in turns with none.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use http::Request;
use http_body_util::Full;
use lazymesh_protocol::{Protocol, REPORTS_PATH, Report, Reports, Source};
use tokio::{net::TcpStream, runtime::Builder, task::spawn_blocking, time::timeout};

use super::{
    load::{Connections, Load, Outgoing},
    resolve,
    row::Row,
};
use crate::{client::Plain, collector::Collector, network::Block};

const READERS: usize = 4;
const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(3);
const EXTERNAL_HOSTS: usize = 50_000;
const WORKLOADS: usize = 1_000;
/// Hosts of one report.
const PER_REPORT: usize = 250;

/// What is read.
const LISTS: [(&str, &str); 7] = [
    ("graph", "/v1/graph"),
    ("plan", "/v1/plan?limit=100"),
    ("always-visible", "/v1/always-visible"),
    ("workloads", "/v1/workloads?limit=1000"),
    ("external-hosts", "/v1/external-hosts?limit=1000"),
    (
        "dependents",
        "/v1/services/shop/service-0/dependents?limit=1000",
    ),
    ("metrics", "/metrics"),
];

pub(super) async fn run() -> Result<Vec<Row>> {
    let block = Block::claim()?;
    let folder = tempfile::tempdir()?;
    let options = resolve::options(folder.path(), block.address(2))?;
    let (ingest, admin) = (options.ingest(), options.admin());
    let _collector = Collector::start(options).await?;
    learn(ingest).await?;

    let mut asker = connect(ingest, 1).await?;
    let known = resolve::request(0)?;
    asker.repeat(&known, TURN).await?;
    let mut rows = Vec::new();
    for (name, path) in LISTS {
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            alone.push(asker.repeat(&known, TURN).await?);
            // On a thread of their own: what they take here is no part of what the collector takes for who asks.
            let reading = spawn_blocking(move || read_all(admin, path));
            beside.push(asker.repeat(&known, TURN).await?);
            reading.await??;
        }
        let p99 = |loads: &[Load]| -> Vec<f64> {
            loads.iter().map(|load| load.milliseconds(0.99)).collect()
        };
        rows.push(Row::paired(
            format!("{name}-p99"),
            &p99(&beside),
            "ms",
            &p99(&alone),
        ));
    }
    Ok(rows)
}

fn read_all(admin: SocketAddr, path: &str) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let readers = (0..READERS).map(|_| read_on(admin, path));
    runtime.block_on(try_join_all(readers)).map(drop)
}

/// Reads for a turn, without a pause.
async fn read_on(admin: SocketAddr, path: &str) -> Result<()> {
    let admin = Plain::new(admin);
    let reading = async {
        loop {
            admin.text(path).await?;
        }
    };
    timeout(TURN, reading).await.unwrap_or(Ok(()))
}

async fn learn(ingest: SocketAddr) -> Result<()> {
    let next = AtomicUsize::new(0);
    let reports = || {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let external = EXTERNAL_HOSTS / PER_REPORT;
        match index {
            _ if index < external => report(index, &external_hosts(index)).ok(),
            _ if index < external + WORKLOADS => {
                report(index, &["service-0.shop:80".to_owned()]).ok()
            }
            _ => None,
        }
    };
    connect(ingest, 16).await?.run(reports).await.map(drop)
}

fn external_hosts(workload: usize) -> Vec<String> {
    let name = |index| format!("host-{index}.of-{workload}.example.com");
    (0..PER_REPORT).map(name).collect()
}

fn report(workload: usize, hosts: &[String]) -> Result<Outgoing> {
    let report = |host: &String| Report {
        authority: Some(host.clone()),
        destination: None,
        protocol: Protocol::Http,
        count: 1,
    };
    let reports = Reports {
        source: Source {
            namespace: "callers".to_owned(),
            workload: format!("reader-{workload}"),
            cluster: None,
            service_account: None,
        },
        reports: hosts.iter().map(report).collect(),
        trouble: None,
    };
    Request::post(REPORTS_PATH)
        .header("host", "collector")
        .header("content-type", "application/json")
        .body(Full::new(serde_json::to_vec(&reports)?.into()))
        .context("request")
}

async fn connect(ingest: SocketAddr, connections: usize) -> Result<Connections> {
    let streams = (0..connections).map(|_| TcpStream::connect(ingest));
    Connections::over(try_join_all(streams).await?).await
}
