//! gRPC: unary calls, and a stream that begins before its host is known and lives on when it is.

use anyhow::{Context, Result, ensure};
use lazymesh_e2e::{
    lab::{self, Lab, Reply},
    wait,
};
use serde_json::json;

use crate::{
    asking::{DIRECT, apply, apply_service, cluster_in, is_known, until_learned},
    lazy::{Lazy, host},
};

#[test]
fn a_first_call_goes_direct_and_the_next_takes_the_cluster() -> Result<()> {
    lab::scenario("grpc-direct", async |lab, namespace| {
        calls(lab, namespace, DIRECT).await
    })
}

#[test]
fn a_first_call_to_a_shaped_service_is_held_for_its_cluster() -> Result<()> {
    lab::scenario("grpc-hold", async |lab, namespace| {
        let policy = json!({ "loadBalancer": { "simple": "LEAST_REQUEST" } });
        let spec = json!({ "host": "called", "trafficPolicy": policy });
        apply(lab, "DestinationRule", (namespace, "called"), spec).await?;
        calls(lab, namespace, &cluster(namespace)).await
    })
}

#[test]
fn a_stream_that_went_direct_lives_on_when_the_cluster_comes() -> Result<()> {
    lab::scenario("grpc-stream", async |lab, namespace| {
        let lazy = start(lab, namespace).await?;
        let mut stream = lazy.client.grpc_stream("http://called:81")?;
        is_ours(namespace, &stream.next().await?)?;
        // From here on the client's sidecar routes calls by the cluster itself.
        until_known(&lazy, &cluster(namespace)).await?;
        for _ in 0..50 {
            stream.next().await?;
        }
        stream.close().await?;
        let lines = lines(&lazy, "Watch", 1).await?;
        ensure!(cluster_in(&lines[0])? == DIRECT, "{lines:?}");
        Ok(())
    })
}

#[test]
fn live_streams_outlive_a_request_that_is_held_for_their_cluster() -> Result<()> {
    lab::scenario("grpc-shared", async |lab, namespace| {
        apply_service(lab, namespace, "other").await?;
        let destination = json!({ "host": "called", "port": { "number": 81 } });
        let spec = json!({
            "hosts": ["other"],
            "http": [{ "route": [{ "destination": destination }] }],
        });
        apply(lab, "VirtualService", (namespace, "other"), spec).await?;
        let lazy = start(lab, namespace).await?;
        lazy.client.grpc("http://called:81").await?;
        until_known(&lazy, &cluster(namespace)).await?;
        // Enough for every worker of the client's sidecar to have one.
        let mut streams = Vec::new();
        for _ in 0..8 {
            let mut stream = lazy.client.grpc_stream("http://called:81")?;
            stream.next().await?;
            streams.push(stream);
        }
        is_ours(namespace, &lazy.client.grpc("http://other:81").await?)?;
        for mut stream in streams {
            stream.next().await?;
            stream.close().await?;
        }
        Ok(())
    })
}

fn cluster(namespace: &str) -> String {
    format!("outbound|81||{}", host(namespace, "called"))
}

async fn start<'a>(lab: &'a Lab, namespace: &'a str) -> Result<Lazy<'a>> {
    apply_service(lab, namespace, "called").await?;
    let lazy = Lazy::start(lab, namespace).await?;
    lab.until_reachable(namespace, "called", 81).await?;
    Ok(lazy)
}

async fn calls(lab: &Lab, namespace: &str, first: &str) -> Result<()> {
    let lazy = &start(lab, namespace).await?;
    is_ours(namespace, &lazy.client.grpc("http://called:81").await?)?;
    let line = lines(lazy, "Check", 1).await?.remove(0);
    ensure!(cluster_in(&line)? == first, "{line}");
    until_learned(
        lazy,
        &[format!("{namespace}/{}", host(namespace, "called"))],
    )
    .await?;
    until_known(lazy, &cluster(namespace)).await
}

/// Waits until a call takes the cluster; every one must be answered.
async fn until_known(lazy: &Lazy<'_>, cluster: &str) -> Result<()> {
    let mut sent = lines(lazy, "Check", 0).await?.len();
    wait::until("a call to take the cluster", async || {
        // A call that fails is an end, not a reason to make another.
        let reply = match lazy.client.grpc("http://called:81").await {
            Ok(reply) => reply,
            Err(error) => return Ok(Err(error)),
        };
        sent += 1;
        let lines = lines(lazy, "Check", sent).await?;
        let line = lines.last().context("no line")?;
        ensure!(cluster_in(line)? == cluster && is_known(line), "{line}");
        Ok(is_ours(lazy.namespace, &reply))
    })
    .await?
}

/// The answer is the server's, who saw the client's identity over HTTP/2.
fn is_ours(namespace: &str, reply: &Reply) -> Result<()> {
    let echo = reply.echo()?;
    let caller = format!("spiffe://cluster.local/ns/{namespace}/sa/caller");
    ensure!(echo.caller() == Some(&caller), "{echo:?}");
    ensure!(
        echo.pod == "server" && echo.version == "HTTP/2.0",
        "{echo:?}"
    );
    Ok(())
}

/// What the access log says of a method of the health service, as soon as it has as many lines.
async fn lines(lazy: &Lazy<'_>, method: &str, count: usize) -> Result<Vec<String>> {
    let path = format!(" /grpc.health.v1.Health/{method} ");
    wait::until("lines of the access log", async || {
        let log = lazy.client.access_log()?;
        let lines = log.lines().filter(|line| line.contains(&path));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        ensure!(lines.len() >= count, "{lines:?}");
        Ok(lines)
    })
    .await
}
