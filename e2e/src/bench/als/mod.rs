//! Entries of access logs that the collector takes, on one core, with 10,000 services in the inventory. The load comes from
//! another core; where the machine has only one, both share it.

mod message;

use std::{
    convert::Infallible,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{future::try_join_all, stream};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lazymesh_envoyfilters::ALS_PORT;
use tokio::net::TcpStream;

use super::{load::Connections, resolve, row::Row};
use crate::{client::Plain, collector::Options, network::Block, process::Process};

const PATH: &str = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";
const ENTRIES: &str = "lazymesh_access_log_entries_total{outcome=\"accepted\"} ";
const CONNECTIONS: usize = 4;
/// Sidecars, each of a workload of its own, as many in each namespace.
const NAMESPACES: usize = 20;
const WORKLOADS: usize = 5;
/// Services that each workload calls.
const CALLED: usize = 10;
const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(2);

pub(super) fn run() -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure())
}

async fn measure() -> Result<Vec<Row>> {
    let block = Block::claim()?;
    let folder = tempfile::tempdir()?;
    let address = block.address(2);
    let als = SocketAddr::from((address, ALS_PORT));
    let options = Options {
        flags: vec!["--als".to_owned(), als.to_string()],
        cgroup: None,
        ..resolve::options(folder.path(), address)?
    };
    let ingest = options.ingest();
    let collector = resolve::start_alone(options).await?;
    let process = collector.process().context("the collector has ended")?;
    let mut live = Connections::over(vec![TcpStream::connect(ingest).await?]).await?;
    let livez = resolve::livez()?;
    let sidecars = Sidecars::connect(als).await?;

    sidecars.log(process, collector.admin()).await?; // learns, and warms up
    let (mut rates, mut costs, mut live_rates, mut live_costs) =
        <(Vec<_>, Vec<_>, Vec<_>, Vec<_>)>::default();
    for _ in 0..TURNS {
        let load = live.repeat_on(process, &livez, TURN).await?;
        live_rates.push(load.per_second());
        live_costs.push(load.processor_microseconds());
        let turn = sidecars.log(process, collector.admin()).await?;
        rates.push(turn.entries / turn.elapsed.as_secs_f64());
        costs.push(turn.processor.as_secs_f64() * 1e6 / turn.entries);
    }
    Ok(vec![
        Row::paired("entries-per-second", &rates, "entries/s", &live_rates),
        Row::paired("entry-cpu", &costs, "µs", &live_costs),
    ])
}

struct Turn {
    entries: f64,
    elapsed: Duration,
    processor: Duration,
}

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

struct Sidecars {
    connections: Vec<SendRequest<Body>>,
    authority: SocketAddr,
}

impl Sidecars {
    async fn connect(authority: SocketAddr) -> Result<Self> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(authority).await?;
            let (sender, connection) =
                http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            connections.push(sender);
        }
        Ok(Self {
            connections,
            authority,
        })
    }

    /// All of them log for a turn, as fast as the collector takes it.
    async fn log(&self, process: Process, admin: &Plain) -> Result<Turn> {
        let (before, processor, started) =
            (taken(admin).await?, process.cpu_time()?, Instant::now());
        let end = started + TURN;
        let streams = (0..NAMESPACES * WORKLOADS).map(|n| self.stream(n, end));
        try_join_all(streams).await?;
        let (elapsed, processor) = (started.elapsed(), process.cpu_time()? - processor);
        let entries = taken(admin).await? - before;
        Ok(Turn {
            entries,
            elapsed,
            processor,
        })
    }

    async fn stream(&self, n: usize, end: Instant) -> Result<()> {
        let services: Vec<_> = (0..CALLED)
            .map(|m| format!("service-{}", n * CALLED + m))
            .collect();
        let namespace = format!("callers-{}", n % NAMESPACES);
        let message = message::message(&namespace, &format!("caller-{n}"), &services);
        let mut frame = BytesMut::with_capacity(message.len() + 5);
        frame.put_u8(0); // not compressed
        frame.put_u32(u32::try_from(message.len())?);
        frame.extend_from_slice(&message);
        let frame = frame.freeze();
        let frames = stream::unfold((), move |()| {
            let frame = (Instant::now() < end).then(|| Ok(Frame::data(frame.clone())));
            std::future::ready(frame.map(|frame| (frame, ())))
        });
        let request = Request::post(format!("http://{}{PATH}", self.authority))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(StreamBody::new(frames).boxed_unsync())?;
        let mut connection = self.connections[n % CONNECTIONS].clone();
        connection.ready().await?;
        let answer = connection.send_request(request).await?;
        ensure!(answer.status() == StatusCode::OK, "{}", answer.status());
        let (head, body) = answer.into_parts();
        let body = body.collect().await?;
        let status = |headers: &HeaderMap| headers.get("grpc-status").cloned();
        let status = status(&head.headers).or_else(|| status(body.trailers()?));
        ensure!(
            status.as_ref().is_some_and(|it| it == "0"),
            "grpc-status {status:?}"
        );
        Ok(())
    }
}

/// Entries that the collector has taken.
async fn taken(admin: &Plain) -> Result<f64> {
    let metrics = admin.text("/metrics").await?;
    let mut lines = metrics.lines();
    let value = lines.find_map(|line| line.strip_prefix(ENTRIES));
    Ok(value.context("no such metric")?.parse()?)
}
