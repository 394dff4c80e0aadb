//! A VirtualService of a learned host rules it as it does without lazymesh: every cluster that it needs comes along.

use anyhow::{Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use lazymesh_e2e::{
    lab::{self, Lab, Pod, PodSpec},
    wait,
};
use serde_json::{Value, json};

use crate::{
    asking::{apply, apply_service, ask, is_known, until_learned, until_taken},
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
            "mirror": { "host": "shadow" },
        });
        let spec = json!({ "hosts": ["front"], "http": [route] });
        apply(lab, "VirtualService", (namespace, "front"), spec).await?;
        let (_blue, _green, shadow) = tokio::try_join!(
            backend(lab, namespace, "blue"),
            backend(lab, namespace, "green"),
            backend(lab, namespace, "shadow"),
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
        is_split(&lazy.client, "/early").await?;
        wait::until("a log of requests before the routes", async || {
            let log = lazy.client.access_log()?;
            let early = log.lines().filter(|line| line.contains(" /early "));
            let early = early.filter(|line| !is_known(line)).count();
            // Nine tenths: a split among the others alone would not be right.
            ensure!(early * 10 >= MANY * 9, "{early} of {MANY}");
            Ok(())
        })
        .await?;

        let services = ["front", "blue", "green", "shadow"];
        let learned = services.map(|service| format!("{namespace}/{}", host(namespace, service)));
        until_learned(&lazy, &learned).await?;
        until_taken(&lazy.client, "http://front", &cluster(namespace, "blue")).await?;
        is_split(&lazy.client, "/routed").await?;
        wait::until("copies of all requests", async || {
            let log = shadow.access_log().unwrap_or_default();
            let copies = log
                .lines()
                .filter(|line| line.contains(" /routed "))
                .count();
            ensure!(copies == MANY, "{copies} of {MANY}");
            Ok(())
        })
        .await
    })
}

/// Sends requests for `front`, which must find its split.
async fn is_split(client: &Pod, path: &str) -> Result<()> {
    let pods: Vec<String> = stream::iter(0..MANY)
        .map(async |_| {
            let reply = client.get(&format!("http://front{path}")).await?;
            ensure!(reply.status == 200, "{path}: {reply:?}");
            Ok(reply.echo()?.pod)
        })
        .buffer_unordered(8)
        .try_collect()
        .await?;
    // 30 are expected, with a standard deviation of 4.6: a right split is outside once in 30,000 runs.
    let green = pods.iter().filter(|pod| *pod == "green").count();
    ensure!(
        (11..=49).contains(&green),
        "{path}: {green} of {MANY} requests for 30 %"
    );
    ensure!(
        pods.iter().all(|pod| pod == "green" || pod == "blue"),
        "{path}: {pods:?}"
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
