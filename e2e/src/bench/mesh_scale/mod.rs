//! What a sidecar costs in a mesh of thousands of services, lazy against full, side by side in one real mesh.
//!
//! Services are like those of real applications (`mix`), with other rules of Istio beside them (`rules`).
//! A quarter of the services is there when the lazy workloads start and learn, by first requests to real pods, what
//! they call. Then the mesh grows to its size: what a lazy sidecar allocates more after that is what it pays for
//! services that it never calls. The full sidecars start only now, so that nothing that they were sent on the way is
//! held against them. At last some services change their endpoints, one after the other.

mod mix;
mod reading;
mod rules;
mod services;
mod sidecars;
mod spoken;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;

use self::{
    reading::{Reading, Usage},
    services::Services,
    sidecars::Sidecars,
};
use super::row::Row;
use crate::{
    lab::{Lab, Lazymesh, LazymeshOptions, Options as LabOptions, Pod},
    wait,
};

/// Sidecars start and are asked so many at a time.
const AT_ONCE: usize = 4;
/// A change takes istiod's debounce of 100 ms and a push; the machine may be busy with something else.
const PATIENCE: Duration = Duration::from_secs(60);

/// The size of the mesh.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Services in the mesh
    #[arg(long, value_name = "COUNT", default_value_t = 2_000)]
    pub services: usize,
    /// Lazy workloads
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub lazy: usize,
    /// Workloads with full configuration
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    pub full: usize,
    /// Services that each lazy workload calls; no other workload calls them
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    pub dependencies: usize,
    /// Endpoints of each service
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    pub endpoints: usize,
    /// Services that change their endpoints once, evenly spread
    #[arg(long, value_name = "COUNT", default_value_t = 200)]
    pub changes: usize,
    /// Leave TCP on numbers that other applications have for HTTP
    #[arg(long)]
    pub one_mesh: bool,
}

impl Options {
    /// Services that are called, and that real pods answer for.
    fn called(&self) -> usize {
        self.lazy * self.dependencies
    }

    /// Services that are there from the beginning.
    fn small(&self) -> usize {
        self.services / 4
    }

    fn check(&self) -> Result<()> {
        ensure!(
            self.called() <= self.small(),
            "{} lazy workloads with {} dependencies each take a mesh of at least {} services",
            self.lazy,
            self.dependencies,
            4 * self.called()
        );
        ensure!(
            self.lazy > 0 && self.full > 0,
            "nothing to measure, or nothing to compare it with"
        );
        ensure!(
            (1..=self.services).contains(&self.changes),
            "at least one service and at most all of them can change"
        );
        ensure!(
            self.endpoints >= 2,
            "a service that loses an endpoint must have another one"
        );
        Ok(())
    }
}

/// Starts a lab of its own and measures in it.
pub(super) async fn run(options: &Options) -> Result<Vec<Row>> {
    options.check()?;
    let lab = Lab::start(LabOptions::default()).await?;
    let rows = async {
        let lazymesh = Lazymesh::install(&lab, &LazymeshOptions::default()).await?;
        measure(&lab, &lazymesh, "scale", options).await
    };
    let rows = rows.await;
    if rows.is_err() {
        lab.keep()?;
    }
    rows.with_context(|| format!("logs are in {}", lab.folder().display()))
}

/// Measures in a lab in which nothing else happens meanwhile. The services are made in `namespace`, the workloads in
/// two others whose names begin with its name.
///
/// # Errors
/// When a part fails, or a request does.
pub async fn measure(
    lab: &Lab,
    lazymesh: &Lazymesh,
    namespace: &str,
    options: &Options,
) -> Result<Vec<Row>> {
    options.check()?;
    let progress = Progress(Instant::now());
    let mut services = Services::start(lab, namespace, options).await?;
    services.grow(options.small()).await?;
    progress.tell(format!("{} services", options.small()));

    let sidecars = Sidecars { lab, namespace };
    let growing = sidecars.start_full("growing", 1).await?;
    let lazy = sidecars.start_lazy(options.lazy).await?;
    sidecars::learn(&lazy, &services, options.dependencies).await?;
    progress.tell(format!(
        "{} lazy sidecars have learned {} services each",
        options.lazy, options.dependencies
    ));
    sidecars::settle(&[&growing, &lazy]).await?;
    let small = [
        Reading::all(lab, &growing).await?,
        Reading::all(lab, &lazy).await?,
    ];

    services.grow(options.services).await?;
    progress.tell(format!("{} services", options.services));
    let full = sidecars.start_full("full", options.full).await?;
    sidecars::have_clusters(&[&growing, &full], services.clusters()).await?;
    progress.tell(format!("{} full sidecars", options.full));
    sidecars::settle(&[&growing, &lazy, &full]).await?;
    let grown = [
        Reading::all(lab, &growing).await?,
        Reading::all(lab, &lazy).await?,
    ];

    let before = [Reading::all(lab, &full).await?, grown[1].clone()];
    let usage = Usage::read(lab, lazymesh)?;
    change(&services, &full, options).await?;
    progress.tell(format!("{} services have changed", options.changes));
    sidecars::settle(&[&growing, &lazy, &full]).await?;
    let after = [
        Reading::all(lab, &full).await?,
        Reading::all(lab, &lazy).await?,
    ];
    let usage = Usage::read(lab, lazymesh)?.since(&usage);

    let added = (options.services - options.small()) as f64;
    let mut rows = reading::memory_rows(&small, &grown, added, &after);
    rows.extend(reading::xds_rows(&before, &after));
    rows.extend(usage.rows());
    Ok(rows)
}

/// Takes an endpoint from every so manieth service; the next one only when the full sidecars were told, as in a
/// rolling update.
async fn change(services: &Services<'_>, full: &[Pod], options: &Options) -> Result<()> {
    let changing = services.changing(options.changes);
    for &index in &changing {
        let told = sidecars::received(full).await?;
        services.change(index).await?;
        wait::until_within("a change to arrive", PATIENCE, async || {
            let now = sidecars::received(full).await?;
            let all = now.iter().zip(&told).all(|(now, told)| now > told);
            ensure!(
                all,
                "not every full sidecar was told of service {index} yet"
            );
            Ok(())
        })
        .await?;
    }
    let lost = changing
        .into_iter()
        .filter_map(|index| services.lost(index));
    sidecars::have_lost(full, &lost.collect::<Vec<_>>()).await
}

/// Says on stderr how far it is.
struct Progress(Instant);

impl Progress {
    fn tell(&self, done: impl AsRef<str>) {
        eprintln!(
            "{:6.1} s  {}",
            self.0.elapsed().as_secs_f64(),
            done.as_ref()
        );
    }
}
