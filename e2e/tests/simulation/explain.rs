//! What the collector says that the first request would do is what the sidecar does.

use anyhow::{Context as _, Result, ensure};
use lazymesh_e2e::{
    Exposure, External, Mesh, Service,
    scenario::scenario,
    simulation::{NAMESPACE, WORKLOAD},
    wait,
};
use serde_json::Value;

#[test]
fn explanations_come_true() {
    let mesh = Mesh::builder()
        .service(Service::http("reviews"))
        .service(Service::http("ratings").exposure(Exposure::NoSidecar))
        .external(External::http("api.example.com"));
    scenario(mesh, async |mesh| {
        check(mesh, "reviews:9080", "direct", "direct").await?;
        check(mesh, "ratings:9080", "hold", "plain-text").await?;
        check(mesh, "api.example.com:9080", "passthrough", "outside").await
    });
}

/// Asks before and after the first request.
async fn check(mesh: &Mesh, host: &str, decision: &str, reason: &str) -> Result<()> {
    let before = explain(mesh, host).await?;
    let would = &before["first_request"];
    ensure!(
        would["decision"] == decision && would["reason"] == reason,
        "{before:#}"
    );
    ensure!(before["in_scope"] == false, "{before:#}");

    let metric = format!("lazymesh_decisions_{decision}");
    let made = mesh.envoy().filter_metric(&metric).await?;
    mesh.client()
        .get(&format!("http://{host}/"))
        .await?
        .echo()?;
    let now = mesh.envoy().filter_metric(&metric).await?;
    ensure!(now == made + 1, "{metric} is {now} after {made}");

    let Some(egress) = before["meant"]["host"].as_str() else {
        return Ok(());
    };
    wait::until("it to be in scope", async || {
        let after = explain(mesh, host).await?;
        ensure!(after["published"] == "routes", "{after:#}");
        ensure!(after["because"][0]["rule"] == "learned", "{after:#}");
        Ok(())
    })
    .await?;
    let known = mesh.collector()?.dependencies(NAMESPACE, WORKLOAD).await?;
    ensure!(known.iter().any(|it| it == egress), "{egress} in {known:?}");
    Ok(())
}

async fn explain(mesh: &Mesh, host: &str) -> Result<Value> {
    let path = format!("/v1/explain?workload={NAMESPACE}/{WORKLOAD}&host={host}");
    let said = mesh.collector()?.admin().json(&path).await;
    said.with_context(|| format!("cannot explain {host}"))
}
