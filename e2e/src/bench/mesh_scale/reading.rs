//! Figures of sidecars and of the control plane, and the rows that they make.

use std::{ops::RangeInclusive, time::Duration};

use anyhow::{Result, ensure};
use futures::future::try_join_all;

use crate::{
    bench::{pairs::percentile, row::Row},
    lab::{Lab, Lazymesh, Pod, Push},
    process::Process,
};

/// Types of xDS that describe services.
const OF_SERVICES: [&str; 4] = ["CDS", "EDS", "LDS", "RDS"];

/// What Envoy receives is more than what istiod counts: names, versions and types of resources come along.
const COUNTED: RangeInclusive<f64> = 0.6..=1.0;

/// One sidecar at one time.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// Bytes that Envoy has allocated.
    allocated: f64,
    /// Bytes that the machine would have more without it.
    private: f64,
    /// Bytes of CDS, EDS, LDS and RDS since it started.
    of_services: f64,
    /// Bytes of xDS of all types since it started.
    received: f64,
    /// xDS responses since it started.
    responses: f64,
}

impl Reading {
    pub(super) async fn all(lab: &Lab, sidecars: &[Pod]) -> Result<Vec<Self>> {
        let pushes = lab.pushes()?;
        try_join_all(sidecars.iter().map(|pod| Self::of(pod, &pushes))).await
    }

    async fn of(pod: &Pod, pushes: &[Push]) -> Result<Self> {
        let node = pod.node();
        let pushes = pushes.iter().filter(|push| push.node == node);
        let sum = |kinds: &[&str]| -> u64 {
            let pushes = pushes.clone();
            let wanted = pushes.filter(|push| kinds.contains(&push.kind.as_str()));
            wanted.map(|push| push.bytes).sum()
        };
        let received = pod.xds_bytes().await? as f64;
        let counted = sum(&["CDS", "EDS", "RDS", "LDS", "ECDS"]) as f64;
        ensure!(
            COUNTED.contains(&(counted / received)),
            "istiod says that it has sent {counted} bytes to {node}, which has received {received}"
        );
        Ok(Self {
            allocated: pod.allocated().await? as f64,
            private: pod.envoy()?.memory()?.private as f64,
            of_services: sum(&OF_SERVICES) as f64,
            received,
            responses: pod.xds_responses().await? as f64,
        })
    }
}

fn median(readings: &[Reading], figure: fn(&Reading) -> f64) -> f64 {
    let figures: Vec<f64> = readings.iter().map(figure).collect();
    percentile(&figures, 0.5)
}

fn mean(readings: &[Reading], figure: fn(&Reading) -> f64) -> f64 {
    readings.iter().map(figure).sum::<f64>() / readings.len() as f64
}

/// Median of what each sidecar has gained, divided by `share`.
fn gained(before: &[Reading], after: &[Reading], share: f64) -> f64 {
    let pairs = before.iter().zip(after);
    let gains: Vec<f64> = pairs
        .map(|(before, after)| (after.allocated - before.allocated) / share)
        .collect();
    percentile(&gains, 0.5)
}

/// The memory of a sidecar, and what one more service in the mesh adds to it. Of each pair the first is full.
pub(super) fn memory_rows(
    small: &[Vec<Reading>; 2],
    grown: &[Vec<Reading>; 2],
    added: f64,
    end: &[Vec<Reading>; 2],
) -> Vec<Row> {
    let allocated = [0, 1].map(|kind| median(&end[kind], |reading| reading.allocated));
    let private = [0, 1].map(|kind| median(&end[kind], |reading| reading.private));
    let slope = [0, 1].map(|kind| gained(&small[kind], &grown[kind], added));
    let mut rows = pair("allocated", "bytes", allocated);
    rows.push(Row::new(
        "allocated-slope",
        slope[1],
        "bytes/service",
        slope[0],
    ));
    rows.extend(pair("private", "bytes", private));
    rows
}

/// What istiod sent a sidecar: in its whole life, and while services changed.
pub(super) fn xds_rows(before: &[Vec<Reading>; 2], after: &[Vec<Reading>; 2]) -> Vec<Row> {
    let change = |kind: usize, figure: fn(&Reading) -> f64| {
        mean(&after[kind], figure) - mean(&before[kind], figure)
    };
    let life = |figure| [0, 1].map(|kind| mean(&after[kind], figure));
    let changes = |figure| [0, 1].map(|kind| change(kind, figure));
    let of_services: fn(&Reading) -> f64 = |reading| reading.of_services;
    let received: fn(&Reading) -> f64 = |reading| reading.received;
    let mut rows = pair("xds-bytes", "bytes", life(of_services));
    rows.extend(pair("xds-bytes-changes", "bytes", changes(of_services)));
    rows.extend(pair("received", "bytes", life(received)));
    let responses: fn(&Reading) -> f64 = |reading| reading.responses;
    rows.extend(pair("pushes", "pushes", changes(responses)));
    rows
}

fn pair(name: &str, unit: &'static str, [full, lazy]: [f64; 2]) -> Vec<Row> {
    vec![
        Row::new(format!("{name}-full"), full, unit, full),
        Row::new(format!("{name}-lazy"), lazy, unit, full),
    ]
}

/// What the collector takes, beside istiod.
pub(super) struct Usage {
    collector: Taken,
    istiod: Taken,
}

struct Taken {
    cpu: Duration,
    private: u64,
}

impl Taken {
    fn by(process: Process) -> Result<Self> {
        Ok(Self {
            cpu: process.cpu_time()?,
            private: process.memory()?.private,
        })
    }

    fn since(self, before: &Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            ..self
        }
    }
}

impl Usage {
    pub(super) fn read(lab: &Lab, lazymesh: &Lazymesh) -> Result<Self> {
        Ok(Self {
            collector: Taken::by(lazymesh.collector().app().process()?)?,
            istiod: Taken::by(lab.istiod().process()?)?,
        })
    }

    /// With only the processor time since then.
    pub(super) fn since(self, before: &Self) -> Self {
        Self {
            collector: self.collector.since(&before.collector),
            istiod: self.istiod.since(&before.istiod),
        }
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let row = |name, unit, figure: fn(&Taken) -> f64| {
            Row::new(name, figure(&self.collector), unit, figure(&self.istiod))
        };
        vec![
            row("collector-cpu-changes", "s", |taken| {
                taken.cpu.as_secs_f64()
            }),
            row("collector-memory", "bytes", |taken| taken.private as f64),
        ]
    }
}
