//! A VirtualService of a learned host rules it as it does without lazymesh: every cluster that it needs comes along.

use anyhow::{Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use lazymesh_e2e::{
    lab::{self, Lab, Pod, PodSpec},
    wait,
};
use serde_json::{Value, json};

use crate::{
    asking::{apply, apply_service, ask, cluster_in, is_known, until_learned, until_taken},
    lazy::{Lazy, cluster, host},
};

/// Requests that show what a route's weights are.
const MANY: usize = 100;

#[test]
fn a_split_holds_from_the_first_request_on() -> Result<()> {
    lab::scenario("split", async |lab, namespace| {
        let route = json!({
            "route": [
                { "destination": { "host": "blue" }, "weight": 70 },
                { "destination": { "host": "green" }, "weight": 30 },
            ],
        });
        let spec = json!({ "hosts": ["front"], "http": [route] });
        apply(lab, "VirtualService", (namespace, "front"), spec).await?;
        let (_blue, _green) = tokio::try_join!(
            backend(lab, namespace, "blue"),
            backend(lab, namespace, "green"),
        )?;
        let lazy = start(lab, namespace).await?;
        let first = ask(&lazy.client, "http://front").await?;
        let pod = first.echo.pod.as_str();
        ensure!(["blue", "green"].contains(&pod), "{:?}", first.echo);
        ensure!(
            first.cluster == cluster(namespace, pod),
            "it took {}",
            first.cluster
        );
        send_many(&lazy.client, "/early").await?;
        wait::until("a log of requests before the routes", async || {
            let log = lazy.client.access_log()?;
            let early = log.lines().filter(|line| line.contains(" /early "));
            let early = early.filter(|line| !is_known(line)).map(cluster_in);
            let early: Vec<_> = early.collect::<Result<_>>()?;
            // Of fewer, none at all would do for three tenths.
            ensure!(early.len() >= 60, "{}", early.len());
            let green = cluster(namespace, "green");
            is_split(early.iter().filter(|it| **it == green).count(), early.len())
        })
        .await?;

        let services = ["front", "blue", "green"];
        let learned = services.map(|service| format!("{namespace}/{}", host(namespace, service)));
        until_learned(&lazy, &learned).await?;
        until_taken(&lazy.client, "http://front", &cluster(namespace, "blue")).await?;
        let pods = send_many(&lazy.client, "/routed").await?;
        is_split(pods.iter().filter(|pod| *pod == "green").count(), MANY)
    })
}

#[test]
fn what_a_route_does_it_does_from_the_first_request_on() -> Result<()> {
    lab::scenario("first-route", async |lab, namespace| {
        let stopped = json!({
            "match": [{ "uri": { "prefix": "/stopped" } }],
            "directResponse": { "status": 418 },
        });
        let mut copied = to("blue");
        copied["mirror"] = json!({ "host": "shadow" });
        let spec = json!({ "hosts": ["front"], "http": [stopped, copied] });
        apply(lab, "VirtualService", (namespace, "front"), spec).await?;
        let (_blue, shadow) = tokio::try_join!(
            backend(lab, namespace, "blue"),
            backend(lab, namespace, "shadow"),
        )?;
        let lazy = start(lab, namespace).await?;
        let first = lazy.client.get("http://front/stopped").await?;
        ensure!(first.status == 418, "{first:?}");
        let next = ask(&lazy.client, "http://front").await?;
        ensure!(
            next.cluster == cluster(namespace, "blue") && next.known,
            "it took {}",
            next.cluster
        );
        shadow
            .logged(&format!(" {} ", next.echo.path))
            .await
            .map(drop)
    })
}

/// Sends requests for `front`; gives who answered.
async fn send_many(client: &Pod, path: &str) -> Result<Vec<String>> {
    let pods: Vec<String> = stream::iter(0..MANY)
        .map(async |_| {
            let reply = client.get(&format!("http://front{path}")).await?;
            ensure!(reply.status == 200, "{path}: {reply:?}");
            Ok(reply.echo()?.pod)
        })
        .buffer_unordered(8)
        .try_collect()
        .await?;
    let expected = |pod: &String| pod == "green" || pod == "blue";
    ensure!(pods.iter().all(expected), "{path}: {pods:?}");
    Ok(pods)
}

/// Whether these may be three tenths of all. They are not in one right split of 40,000.
fn is_split(green: usize, all: usize) -> Result<()> {
    let (green, all) = (
        f64::from(u32::try_from(green)?),
        f64::from(u32::try_from(all)?),
    );
    let (expected, deviation) = (0.3 * all, (0.21 * all).sqrt());
    ensure!(
        (green - expected).abs() < 4.2 * deviation,
        "{green} of {all} requests for 30 %"
    );
    Ok(())
}

#[test]
fn a_virtual_service_of_another_namespace_is_obeyed() -> Result<()> {
    lab::scenario("route-elsewhere", async |lab, namespace| {
        let other = &format!("{namespace}-other");
        lab.namespace(other, &[]).await?;
        let spec = json!({
            "hosts": [host(namespace, "front")],
            "http": [to(&host(namespace, "blue"))],
        });
        apply(lab, "VirtualService", (other, "front"), spec).await?;
        leads_to_blue(lab, namespace, other).await?;
        lab.delete_namespace(other).await
    })
}

#[test]
fn a_delegate_is_followed() -> Result<()> {
    lab::scenario("delegate", async |lab, namespace| {
        let other = &format!("{namespace}-other");
        lab.namespace(other, &[]).await?;
        let delegate = json!({ "name": "delegate", "namespace": other });
        let spec = json!({ "hosts": ["front"], "http": [{ "delegate": delegate }] });
        apply(lab, "VirtualService", (namespace, "front"), spec).await?;
        let spec = json!({ "http": [to(&host(namespace, "blue"))] });
        apply(lab, "VirtualService", (other, "delegate"), spec).await?;
        leads_to_blue(lab, namespace, namespace).await?;
        lab.delete_namespace(other).await
    })
}

fn to(host: &str) -> Value {
    json!({ "route": [{ "destination": { "host": host } }] })
}

/// All requests for `front` get to `blue`, whose VirtualService is in the namespace `routes`.
async fn leads_to_blue(lab: &Lab, namespace: &str, routes: &str) -> Result<()> {
    let _blue = backend(lab, namespace, "blue").await?;
    let lazy = start(lab, namespace).await?;
    let blue = cluster(namespace, "blue");
    let first = ask(&lazy.client, "http://front").await?;
    ensure!(first.cluster == blue, "it took {}", first.cluster);
    let (front, behind) = (host(namespace, "front"), host(namespace, "blue"));
    let learned = [
        format!("{routes}/{front}"),
        format!("{namespace}/{front}"),
        format!("{namespace}/{behind}"),
    ];
    until_learned(&lazy, &learned).await?;
    let asked = until_taken(&lazy.client, "http://front", &blue).await?;
    ensure!(asked.echo.pod == "blue", "{:?}", asked.echo);
    Ok(())
}

async fn backend(lab: &Lab, namespace: &str, name: &str) -> Result<Pod> {
    lab.service(namespace, name).await?;
    let pod = lab.pod(PodSpec::new(namespace, name)).await?;
    lab.until_reachable(namespace, name, 80).await?;
    Ok(pod)
}

/// A lazy client, and `front`, which only a VirtualService leads elsewhere.
async fn start<'a>(lab: &'a Lab, namespace: &'a str) -> Result<Lazy<'a>> {
    apply_service(lab, namespace, "front").await?;
    let lazy = Lazy::start(lab, namespace).await?;
    lab.until_reachable(namespace, "front", 80).await?;
    Ok(lazy)
}
