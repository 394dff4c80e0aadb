//! What nobody sees for long leaves its workload's scope, and no request fails.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use futures::future::{try_join, try_join_all};
use lazymesh_e2e::{
    Mesh, MeshBuilder, Service,
    scenario::scenario,
    simulation::{NAMESPACE, WORKLOAD},
    wait,
};

const SERVICES: usize = 88;
const EXPIRIES: u64 = 200;
const CALLERS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn two_hundred_hosts_leave_while_they_are_called() {
    let services = (0..SERVICES).map(|n| Service::http(&format!("s{n}")));
    let mesh = services.fold(Mesh::builder(), MeshBuilder::service);
    // The disk may be busy with others: what is not answered in time goes as dialled, which STRICT refuses.
    let mesh = mesh.configure(|config| config.resolve_timeout_ms = 5_000);
    let mesh = mesh.collector_flags(&["--settle=3s", "--ttl=1s", "--ttl-percent-a-day=100"]);
    scenario(mesh, async |mesh| {
        let is_over = AtomicBool::new(false);
        let callers = (0..CALLERS).map(|n| call_all(mesh, n, &is_over));
        let expiries = async {
            wait::until_within("the expiries", PATIENCE, async || {
                let expired = expired(mesh).await?;
                ensure!(expired >= EXPIRIES, "{expired} hosts left");
                Ok(())
            })
            .await?;
            is_over.store(true, Ordering::Relaxed);
            Ok(())
        };
        let (requests, ()) = try_join(try_join_all(callers), expiries).await?;
        let first = mesh
            .envoy()
            .filter_metric("lazymesh_decisions_direct")
            .await?;
        let requests: u64 = requests.into_iter().sum();
        ensure!(
            first > SERVICES as u64,
            "{first} of {requests} requests met the filter"
        );
        Ok(())
    });
}

/// Calls every service, again and again; how often. A request that fails is an error.
async fn call_all(mesh: &Mesh, first: usize, is_over: &AtomicBool) -> Result<u64> {
    let client = mesh.http2_client();
    let mut requests = 0;
    for n in (0..SERVICES).cycle().skip(first * SERVICES / CALLERS) {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let answer = client.get(&format!("http://s{n}:9080/")).await?;
        let echo = answer.echo();
        let echo = echo.with_context(|| format!("request {requests} to s{n}"))?;
        ensure!(
            echo.peer == Some(mesh.identity()),
            "s{n} was called by {:?}",
            echo.peer
        );
        requests += 1;
    }
    Ok(requests)
}

#[test]
fn what_the_access_log_tells_of_stays_and_the_rest_leaves() {
    let mesh = Mesh::builder()
        .service(Service::http("reviews"))
        .service(Service::http("ratings"))
        .als(100)
        .collector_flags(&["--ttl=4s", "--ttl-percent-a-day=100"]);
    scenario(mesh, async |mesh| {
        mesh.client().get("http://ratings:9080/").await?.echo()?;
        wait::until("only what is called", async || {
            mesh.client().get("http://reviews:9080/").await?.echo()?;
            let known = mesh.collector()?.dependencies(NAMESPACE, WORKLOAD).await?;
            let reviews = mesh.service("reviews")?.service.egress_host();
            ensure!(known == [reviews], "{known:?}");
            Ok(())
        })
        .await?;
        let expired = expired(mesh).await?;
        ensure!(expired == 1, "{expired} hosts left");
        mesh.client().get("http://ratings:9080/").await?.echo()?;
        Ok(())
    });
}

/// How many dependencies have left.
async fn expired(mesh: &Mesh) -> Result<u64> {
    let metrics = mesh.collector()?.admin().text("/metrics").await?;
    let mut lines = metrics.lines();
    let value = lines.find_map(|line| line.strip_prefix("lazymesh_expired_total "));
    Ok(value.context("no such metric")?.parse()?)
}
