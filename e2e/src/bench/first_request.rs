//! What a first request costs: to an unknown service against a known one, both on connections of their own and both
//! called for the first time; to an unknown external host against the same without the filter.

use anyhow::{Result, ensure};
use clap::Args;

use super::{first_connection, outside, pairs::percentile, row::Row};
use crate::{CollectorKind, External, Filter, Mesh, MeshBuilder, Service};

pub(super) const HOSTS: usize = 40;

/// How long to measure.
#[derive(Args, Clone, Copy, Debug)]
pub struct Settings {
    /// How often all hosts are met for the first time
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    turns: usize,
}

pub(super) async fn run(Settings { turns }: Settings) -> Result<Vec<Row>> {
    let mut direct = Samples::default();
    let mut passthrough = Samples::default();
    for _ in 0..turns {
        direct.turn(unknown_services(), known_services()).await?;
        passthrough.turn(externals(), without_filter()).await?;
    }
    Ok([
        direct.rows("direct"),
        passthrough.rows("passthrough"),
        first_connection::run(turns).await?,
        outside::run(turns).await?,
    ]
    .concat())
}

pub(super) fn name(index: usize) -> String {
    format!("host-{index}")
}

fn unknown_services() -> MeshBuilder {
    let services = (0..HOSTS).map(|index| Service::http(&name(index)));
    services
        .fold(Mesh::builder(), MeshBuilder::service)
        .without_access_log()
}

fn known_services() -> MeshBuilder {
    let services = (0..HOSTS).map(|index| Service::http(&name(index)).known());
    services
        .fold(Mesh::builder(), MeshBuilder::service)
        .without_access_log()
}

fn externals() -> MeshBuilder {
    let hosts = (0..HOSTS).map(|index| External::http(&name(index)));
    hosts
        .fold(Mesh::builder(), MeshBuilder::external)
        .without_access_log()
}

fn without_filter() -> MeshBuilder {
    externals()
        .filter(Filter::None)
        .collector(CollectorKind::Down)
}

/// Milliseconds of first requests, and of what they are compared with.
#[derive(Default)]
pub(super) struct Samples {
    first: Vec<f64>,
    baseline: Vec<f64>,
}

impl Samples {
    /// One first request to every host of both meshes, in turn.
    async fn turn(&mut self, measured: MeshBuilder, baseline: MeshBuilder) -> Result<()> {
        self.turn_of(get, measured, baseline).await
    }

    /// As [`Samples::turn`], with another way to meet a host, which gives the milliseconds that it took.
    pub(super) async fn turn_of(
        &mut self,
        meet: impl AsyncFn(&Mesh, usize) -> Result<f64>,
        measured: MeshBuilder,
        baseline: MeshBuilder,
    ) -> Result<()> {
        let (measured, baseline) = tokio::try_join!(measured.start(), baseline.start())?;
        // The first two requests also start what starts once: pools, the filter's connection to the collector.
        for index in 0..HOSTS {
            let first = meet(&measured, index).await?;
            let other = meet(&baseline, index).await?;
            if index >= 2 {
                self.first.push(first);
                self.baseline.push(other);
            }
        }
        Ok(())
    }

    pub(super) fn rows(&self, name: &str) -> Vec<Row> {
        let row = |(suffix, share)| {
            let first = percentile(&self.first, share);
            let baseline = percentile(&self.baseline, share);
            // The figure is what the first request costs more; the ratio is of the whole times.
            Row {
                value: first - baseline,
                ratio: first / baseline,
                ..Row::new(format!("{name}-{suffix}"), first, "ms", baseline)
            }
        };
        [("p50", 0.5), ("p99", 0.99)].map(row).to_vec()
    }
}

async fn get(mesh: &Mesh, index: usize) -> Result<f64> {
    let url = format!("http://{}:9080/ok", name(index));
    let answer = mesh.client().get(&url).await?;
    ensure!(answer.status.is_success(), "{url}: {}", answer.status);
    Ok(answer.elapsed.as_secs_f64() * 1_000.0)
}
