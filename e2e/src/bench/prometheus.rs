//! Memory and time of a collector that reads a Prometheus of a million series: answers of namespaces, since all is too much for
//! one. Beside it, one of a hundredth of that.

use std::{
    collections::HashMap,
    fmt::Write as _,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use clap::Args;
use serde_json::json;
use tokio::{net::TcpListener, time::sleep};

use super::row::Row;
use crate::{
    collector::{Collector, Options},
    manifests,
    network::Block,
};

/// How many series there are.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Series in all
    #[arg(long, default_value_t = 1_000_000)]
    pub series: usize,
}

const NAMESPACES: usize = 100;
const WORKLOADS: usize = 20;
/// Services that there are; what else was called is gone.
const SERVICES: usize = 10;
const MIB: f64 = (1 << 20) as f64;
const GLANCE: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_mins(10);

/// Measures.
///
/// # Errors
/// When the collector does not read all of it.
pub async fn run(settings: &Settings) -> Result<Vec<Row>> {
    let many = read(settings.series).await?;
    let few = read(settings.series / 100).await?;
    Ok(vec![
        Row::new("peak-memory", many.peak, "MiB", few.peak),
        Row::new("read-time", many.seconds, "s", few.seconds),
    ])
}

struct Reading {
    peak: f64,
    seconds: f64,
}

async fn read(series: usize) -> Result<Reading> {
    let block = Block::claim()?;
    let folder = tempfile::tempdir()?;
    let address = block.address(2);
    let prometheus = serve((address, 9090).into(), series).await?;
    let start = Instant::now();
    let options = options(folder.path(), &block, prometheus)?;
    let collector = Collector::start(options).await?;
    while start.elapsed() < PATIENCE {
        let metrics = collector.admin().text("/metrics").await?;
        if metrics.contains("lazymesh_prometheus_caught_up 1") {
            let known = NAMESPACES * WORKLOADS * SERVICES;
            let learned = format!("lazymesh_dependencies {}", known.min(series));
            ensure!(
                metrics.contains(&learned),
                "expected {learned} in {metrics}"
            );
            let process = collector.process().context("the collector has ended")?;
            return Ok(Reading {
                peak: process.most_resident()? as f64 / MIB,
                seconds: start.elapsed().as_secs_f64(),
            });
        }
        sleep(GLANCE).await;
    }
    bail!("expected that all is read in {} s", PATIENCE.as_secs())
}

fn options(folder: &Path, block: &Block, prometheus: SocketAddr) -> Result<Options> {
    let manifests = folder.join("manifests");
    let namespaces = (0..NAMESPACES).map(|n| manifests::namespace(&format!("ns-{n}"), true));
    let services = (0..SERVICES).map(|n| {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": format!("s-{n}"), "namespace": "ns-0" },
            "spec": { "ports": [{ "name": "http", "port": 80 }] },
        })
    });
    manifests::write(&manifests, &namespaces.chain(services).collect::<Vec<_>>())?;
    Ok(Options {
        address: block.address(1),
        manifests,
        sidecars: folder.join("sidecars"),
        store: folder.join("store"),
        log: folder.join("log"),
        always: Vec::new(),
        flags: vec![
            format!("--prometheus-url=http://{prometheus}"),
            "--prometheus-lookback=10m".to_owned(),
        ],
        cgroup: None,
    })
}

/// What answers in the place of Prometheus: it refuses what is of more than one namespace.
async fn serve(address: SocketAddr, series: usize) -> Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let router = Router::new()
        .route("/api/v1/query", post(query))
        .route("/api/v1/label/{label}/values", get(namespaces))
        .with_state(series);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn namespaces() -> Json<serde_json::Value> {
    let names: Vec<_> = (0..NAMESPACES).map(|n| format!("ns-{n}")).collect();
    Json(json!({ "status": "success", "data": names }))
}

async fn query(State(series): State<usize>, form: String) -> Response {
    let form = format!("/?{form}").parse().ok();
    let form = form.and_then(|form| Query::<HashMap<String, String>>::try_from_uri(&form).ok());
    let query = form.as_ref().and_then(|Query(form)| form.get("query"));
    let query = query.map_or("", String::as_str);
    let namespace = query.split_once("source_workload_namespace=\"");
    let namespace = namespace.and_then(|(_, rest)| rest.split_once('"'));
    match namespace {
        _ if !query.contains("istio_requests_total") => vector(""),
        Some((namespace, _)) => vector(&samples(namespace, series / NAMESPACES)),
        None => {
            let error =
                json!({ "status": "error", "errorType": "execution", "error": "too many samples" });
            (StatusCode::UNPROCESSABLE_ENTITY, Json(error)).into_response()
        }
    }
}

fn vector(samples: &str) -> Response {
    let text =
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{samples}]}}}}"#);
    text.into_response()
}

/// What its workloads have called, each the same number of services, a few of which there are.
fn samples(namespace: &str, series: usize) -> String {
    let mut text = String::new();
    for n in 0..series {
        let (workload, service) = (n % WORKLOADS, n / WORKLOADS);
        let comma = if n == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            r#"{comma}{{"metric":{{"source_workload":"w-{workload}","source_workload_namespace":"{namespace}","destination_service":"s-{service}.ns-0.svc.cluster.local"}},"value":[1,"1"]}}"#
        );
    }
    text
}
