//! What a first connection costs that is not HTTP: to an unknown service against a known one, and to a host outside the
//! mesh against the same without the filter. The server speaks first; the time ends with its greeting.

use std::time::Instant;

use anyhow::{Result, ensure};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{
    first_request::{HOSTS, Samples, name},
    row::Row,
};
use crate::{CollectorKind, External, Filter, Mesh, MeshBuilder, Service};

const PORT: u16 = 5432;

pub(super) async fn run(turns: usize) -> Result<Vec<Row>> {
    let mut direct = Samples::default();
    let mut passthrough = Samples::default();
    for _ in 0..turns {
        let (unknown, known) = (services(|it| it), services(Service::known));
        direct.turn_of(greeting, unknown, known).await?;
        let plain = externals().filter(Filter::None);
        let plain = plain.collector(CollectorKind::Down);
        passthrough.turn_of(greeting, externals(), plain).await?;
    }
    Ok([
        direct.rows("tcp-direct"),
        passthrough.rows("tcp-passthrough"),
    ]
    .concat())
}

fn services(kind: fn(Service) -> Service) -> MeshBuilder {
    let services = (0..HOSTS).map(|index| kind(Service::tcp(&name(index))));
    services
        .fold(Mesh::builder(), MeshBuilder::service)
        .without_access_log()
}

fn externals() -> MeshBuilder {
    let hosts = (0..HOSTS).map(|index| External::tcp(&name(index)));
    hosts
        .fold(Mesh::builder(), MeshBuilder::external)
        .without_access_log()
}

async fn greeting(mesh: &Mesh, index: usize) -> Result<f64> {
    let destination = mesh.destination(&name(index), PORT)?;
    let start = Instant::now();
    let stream = mesh.client().dialer().dial(destination).await?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await?;
    let elapsed = start.elapsed();
    ensure!(line.starts_with("hello from"), "{line:?}");
    Ok(elapsed.as_secs_f64() * 1_000.0)
}
