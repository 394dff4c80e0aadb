//! What the filter costs requests to a host that the sidecar knows: Envoy's processor time for each request, which a shared
//! machine blurs least, and throughput and latency through one worker.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use futures::future::try_join_all;
use http::Request;
use http_body_util::Full;

use super::{
    load::{Connections, Load},
    pairs::Ratios,
    row::Row,
};
use crate::{Exposure, Filter, Mesh, Service};

const CONNECTIONS: usize = 16;
const LEAST_TURNS: usize = 9;
/// Four minutes.
const MOST_TURNS: usize = 40;
const TURN: Duration = Duration::from_secs(2);

const VARIANTS: [(&str, Filter); 3] = [
    ("none", Filter::None),
    ("attached", Filter::Attached),
    ("always-on", Filter::AlwaysOn),
];

pub(super) async fn run() -> Result<Vec<Row>> {
    let starting = VARIANTS.map(|(_, filter)| Variant::start(filter));
    let mut variants = try_join_all(starting).await?;
    for variant in &mut variants {
        variant.turn().await?; // warm-up
    }
    let mut loads: Vec<Vec<Load>> = VARIANTS.iter().map(|_| Vec::new()).collect();
    while !are_enough(&loads) {
        for (variant, loads) in variants.iter_mut().zip(&mut loads) {
            loads.push(variant.turn().await?);
        }
    }
    Ok(rows(&loads))
}

/// Whether the processor time of the attached filter can be judged.
fn are_enough(loads: &[Vec<Load>]) -> bool {
    let [none, attached, _] = loads else {
        return true;
    };
    let turns = none.len();
    let cpu =
        |loads: &[Load]| -> Vec<f64> { loads.iter().map(Load::processor_microseconds).collect() };
    let enough = || Ratios::of(&cpu(attached), &cpu(none)).are_narrow();
    turns >= MOST_TURNS || (turns >= LEAST_TURNS && enough())
}

fn rows(loads: &[Vec<Load>]) -> Vec<Row> {
    let figures = |pick: fn(&Load) -> f64| -> Vec<Vec<f64>> {
        let all = loads.iter();
        all.map(|loads| loads.iter().map(pick).collect()).collect()
    };
    let throughput = figures(Load::per_second);
    let median = figures(|load| load.milliseconds(0.5));
    let tail = figures(|load| load.milliseconds(0.99));
    let cpu = figures(Load::processor_microseconds);
    let kinds = [
        ("-cpu", "µs", cpu),
        ("", "requests/s", throughput),
        ("-p50", "ms", median),
        ("-p99", "ms", tail),
    ];
    let mut rows = Vec::new();
    for (suffix, unit, figures) in kinds {
        let names = VARIANTS.iter().map(|(name, _)| format!("{name}{suffix}"));
        rows.extend(
            names
                .zip(&figures)
                .map(|(name, values)| Row::paired(name, values, unit, &figures[0])),
        );
    }
    rows
}

struct Variant {
    connections: Connections,
    request: Request<Full<Bytes>>,
    mesh: Mesh,
}

impl Variant {
    async fn start(filter: Filter) -> Result<Self> {
        // A plain backend and one worker, so that Envoy is what the machine is busy with.
        let service = Service::http("known").exposure(Exposure::NoSidecar).known();
        let mesh = Mesh::builder()
            .service(service)
            .filter(filter)
            .concurrency(1)
            .without_access_log()
            .start()
            .await?;
        let destination = mesh.destination("known", 9080)?;
        let dialer = mesh.client().dialer();
        let streams = try_join_all((0..CONNECTIONS).map(|_| dialer.dial(destination))).await?;
        Ok(Self {
            connections: Connections::over(streams).await?,
            request: Request::get("/ok")
                .header("host", "known:9080")
                .body(Full::default())?,
            mesh,
        })
    }

    async fn turn(&mut self) -> Result<Load> {
        let envoy = self.mesh.envoy().process();
        self.connections.repeat_on(envoy, &self.request, TURN).await
    }
}
