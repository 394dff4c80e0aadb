//! The sidecars that are measured: started, taught what they call, and watched until nothing moves any more.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, future::try_join_all, stream};
use serde_json::Value;

use super::{AT_ONCE, PATIENCE, Services, services::Callee};
use crate::{
    lab::{Lab, Pod, PodSpec, reference},
    wait,
};

/// istiod pushes at most 10 s after a change, but 100 ms after the last of several.
const QUIET: Duration = Duration::from_secs(2);
/// Between two looks at whether anything moves.
const LOOK: Duration = Duration::from_millis(250);
/// Memory that moves less than this in a [`QUIET`] time stands still.
const STILL: f64 = 0.005;
/// A machine that is busy with something else gets this long to come to rest.
const REST: Duration = Duration::from_secs(180);

/// Starts sidecars.
pub(super) struct Sidecars<'a> {
    pub(super) lab: &'a Lab,
    pub(super) namespace: &'a str,
}

impl Sidecars<'_> {
    /// Sidecars in a namespace that is off.
    pub(super) async fn start_full(&self, name: &str, count: usize) -> Result<Vec<Pod>> {
        self.start("full", "off", name, count).await
    }

    /// Sidecars in a namespace that is enforced, when they are as empty as they will be.
    pub(super) async fn start_lazy(&self, count: usize) -> Result<Vec<Pod>> {
        // The first pod of a namespace starts with the full scope, and its filter makes the namespace lazy. Others that
        // start meanwhile get everything, too.
        let first = self.start("lazy", "enforce", "first", 1).await?;
        try_join_all(first.iter().map(until_lazy)).await?;
        self.until_enforced().await?;
        let pods = self.start("lazy", "enforce", "lazy", count).await?;
        try_join_all(pods.iter().map(until_lazy)).await?;
        Ok(pods)
    }

    async fn start(&self, kind: &str, mode: &str, name: &str, count: usize) -> Result<Vec<Pod>> {
        let namespace = format!("{}-{kind}", self.namespace);
        self.lab
            .namespace(&namespace, &[("lazymesh.io/mode", mode)])
            .await?;
        stream::iter(0..count)
            .map(|index| {
                let spec = PodSpec::new(&namespace, &format!("{name}-{index}"));
                self.lab.pod(spec)
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn until_enforced(&self) -> Result<()> {
        let namespace = format!("{}-lazy", self.namespace);
        let sidecar = reference(
            "networking.istio.io/v1",
            "Sidecar",
            &namespace,
            "lazymesh-default",
        );
        wait::until_within("the namespace to be enforced", PATIENCE, async || {
            let found = self.lab.cluster().find(&sidecar).await?;
            let found = found.context("no lazymesh-default")?;
            let listeners = found.data.pointer("/spec/egress").and_then(Value::as_array);
            ensure!(
                listeners.is_some_and(|listeners| listeners.len() == 1),
                "{listeners:?}"
            );
            Ok(())
        })
        .await
    }
}

async fn until_lazy(pod: &Pod) -> Result<()> {
    wait::until_within("a sidecar to be lazy", PATIENCE, async || {
        let clusters = pod.envoy_admin("/clusters").await?;
        // Some are in every scope, but none that is called.
        ensure!(!clusters.contains("||service-0."), "it knows services");
        ensure!(
            pod.has_cluster("lazymesh-direct").await?,
            "it has no lazymesh-direct"
        );
        let filters = pod
            .envoy_admin("/config_dump?resource=ecds_filters")
            .await?;
        ensure!(
            filters.contains("type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"),
            "it has no filter"
        );
        Ok(())
    })
    .await
}

/// Has each workload call services of its own, each with a first request or connection, until its sidecar knows them.
pub(super) async fn learn(
    workloads: &[Pod],
    services: &Services<'_>,
    dependencies: usize,
) -> Result<()> {
    let learn = async |(index, pod): (usize, &Pod)| -> Result<()> {
        let callees = index * dependencies..(index + 1) * dependencies;
        let callees: Vec<Callee> = callees.filter_map(|index| services.callee(index)).collect();
        for callee in &callees {
            callee.call(pod).await?;
        }
        for callee in &callees {
            wait::until_within("a service to be learned", PATIENCE, async || {
                callee.is_known(pod).await
            })
            .await?;
        }
        Ok(())
    };
    stream::iter(workloads.iter().enumerate())
        .map(learn)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

impl Callee {
    async fn call(&self, pod: &Pod) -> Result<()> {
        let Self { host, port, .. } = self;
        if self.requests {
            let url = format!("http://{host}:{port}/");
            let reply = pod.get(&url).await?;
            ensure!(reply.status == 200, "{url}: {reply:?}");
        } else {
            let greeting = pod.greeting(host, *port).await?;
            ensure!(greeting.starts_with("hello"), "{host}:{port}: {greeting:?}");
        }
        Ok(())
    }

    async fn is_known(&self, pod: &Pod) -> Result<()> {
        let Self { host, port, .. } = self;
        let is_known = if self.requests {
            pod.has_host(*port, host).await?
        } else {
            pod.has_listener_for(&format!("outbound|{port}||{host}"))
                .await?
        };
        ensure!(is_known, "{host}:{port} is not known");
        Ok(())
    }
}

/// Waits until every sidecar has at least so many clusters, all of them warm.
pub(super) async fn have_clusters(sidecars: &[&[Pod]], count: usize) -> Result<()> {
    for pod in sidecars.iter().copied().flatten() {
        wait::until_within("a full sidecar", REST, async || {
            let active = pod.envoy_stat("cluster_manager.active_clusters").await?;
            let warming = pod.envoy_stat("cluster_manager.warming_clusters").await?;
            ensure!(
                active >= count as u64 && warming == 0,
                "{active} active clusters and {warming} warming ones"
            );
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Waits until no sidecar has an endpoint with one of these addresses.
pub(super) async fn have_lost(sidecars: &[Pod], addresses: &[Ipv4Addr]) -> Result<()> {
    for pod in sidecars {
        wait::until_within("the endpoints as they are now", PATIENCE, async || {
            let clusters = pod.envoy_admin("/clusters").await?;
            let left = addresses.iter();
            let left = left.filter(|address| clusters.contains(&format!("::{address}:")));
            let left: Vec<_> = left.collect();
            ensure!(
                left.is_empty(),
                "endpoints that are gone are still there: {left:?}"
            );
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Bytes that each of the sidecars has received from istiod.
pub(super) async fn received(sidecars: &[Pod]) -> Result<Vec<u64>> {
    try_join_all(sidecars.iter().map(Pod::xds_bytes)).await
}

/// Waits until for a while istiod has sent nothing and no sidecar's memory has changed.
pub(super) async fn settle(sidecars: &[&[Pod]]) -> Result<()> {
    let deadline = Instant::now() + REST;
    let mut still = State::of(sidecars).await?;
    let mut since = Instant::now();
    while since.elapsed() < QUIET {
        tokio::time::sleep(LOOK).await;
        let now = State::of(sidecars).await?;
        if now.differs(&still) {
            ensure!(
                Instant::now() < deadline,
                "the sidecars did not settle in {REST:?}"
            );
            (still, since) = (now, Instant::now());
        }
    }
    Ok(())
}

/// What must not move any more: responses and memory of each sidecar.
struct State(Vec<(u64, u64)>);

impl State {
    async fn of(sidecars: &[&[Pod]]) -> Result<Self> {
        let states = sidecars
            .iter()
            .copied()
            .flatten()
            .map(async |pod| anyhow::Ok((pod.xds_responses().await?, pod.allocated().await?)));
        Ok(Self(try_join_all(states).await?))
    }

    fn differs(&self, other: &Self) -> bool {
        let mut pairs = self.0.iter().zip(&other.0);
        pairs.any(|((sent, memory), (sent_before, before))| {
            sent != sent_before || memory.abs_diff(*before) as f64 > STILL * *before as f64
        })
    }
}
