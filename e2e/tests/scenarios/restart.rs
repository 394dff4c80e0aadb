//! The collector may die at any time: traffic goes on, and what was learned is still known.

use anyhow::{Result, ensure};
use lazymesh_e2e::{External, Mesh, Service, scenario::scenario, wait};

#[test]
fn a_killed_collector_is_not_missed_and_forgets_nothing() {
    let mesh = Mesh::builder()
        .service(Service::http("reviews"))
        .external(External::http("api.example.com"));
    scenario(mesh, async |mesh| -> Result<()> {
        let client = mesh.client().clone();
        client.get("http://reviews:9080/").await?.echo()?;
        mesh.collector_mut()?.kill().await?;

        client.get("http://api.example.com:9080/").await?.echo()?;
        let endpoint = mesh.service("reviews")?.endpoint();
        wait::until("a request on the real cluster", async || {
            let echo = client.get("http://reviews:9080/").await?.echo()?;
            ensure!(echo.address == endpoint, "still at {}", echo.address);
            Ok(())
        })
        .await?;

        let reviews = mesh.service("reviews")?.service.egress_host();
        let collector = mesh.collector_mut()?;
        collector.restart().await?;
        assert_eq!(
            collector.dependencies("shop", "productpage").await?,
            [reviews]
        );
        let echo = client.get("http://reviews:9080/").await?.echo()?;
        assert_eq!(echo.address, endpoint);
        Ok(())
    });
}
