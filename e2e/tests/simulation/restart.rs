//! The collector may die at any time: traffic goes on, and what was learned is still known.

use anyhow::{Result, ensure};
use lazymesh_e2e::{External, Mesh, MeshBuilder, Service, scenario::scenario, wait};

#[test]
fn a_killed_collector_is_not_missed_and_forgets_nothing() {
    scenario(mesh(), async |mesh| -> Result<()> {
        let client = mesh.client().clone();
        in_scope(mesh).await?;
        mesh.collector_mut()?.kill().await?;
        client.get("http://api.example.com:9080/").await?.echo()?;
        client.get("http://reviews:9080/").await?.echo()?;

        let reviews = mesh.service("reviews")?.service.egress_host();
        let collector = mesh.collector_mut()?;
        collector.restart().await?;
        assert_eq!(
            collector.dependencies("shop", "productpage").await?,
            [reviews]
        );
        in_scope(mesh).await
    });
}

#[test]
fn what_was_acknowledged_is_published_after_a_crash() {
    scenario(mesh(), async |mesh| -> Result<()> {
        mesh.client().get("http://reviews:9080/").await?.echo()?;
        // The answer came before the Sidecar, and the collector dies in between.
        mesh.collector_mut()?.kill().await?;
        mesh.client()
            .get("http://api.example.com:9080/")
            .await?
            .echo()?;
        mesh.collector_mut()?.restart().await?;
        in_scope(mesh).await
    });
}

fn mesh() -> MeshBuilder {
    Mesh::builder()
        .service(Service::http("reviews"))
        .external(External::http("api.example.com"))
}

async fn in_scope(mesh: &Mesh) -> Result<()> {
    let endpoint = mesh.service("reviews")?.endpoint();
    wait::until("a request on the real cluster", async || {
        let echo = mesh.client().get("http://reviews:9080/").await?.echo()?;
        ensure!(echo.address == endpoint, "still at {}", echo.address);
        Ok(())
    })
    .await
}
