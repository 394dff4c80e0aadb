//! A sidecar's access log teaches what no filter sees: hosts that are in scope already.

use anyhow::{Result, ensure};
use lazymesh_e2e::{
    External, Filter, Mesh, Service,
    scenario::scenario,
    simulation::{NAMESPACE, WORKLOAD},
    wait,
};
use tokio::io::AsyncReadExt as _;

#[test]
fn what_is_in_scope_is_learned_from_the_access_log() {
    let mesh = Mesh::builder()
        .service(Service::http("reviews").known())
        .service(Service::grpc("stock").known())
        .service(Service::tcp("db").known())
        .service(Service::http("ratings").known())
        .external(External::http("api.example.com"))
        .filter(Filter::None)
        .als(100);
    scenario(mesh, async |mesh| {
        let client = mesh.client();
        for _ in 0..3 {
            client.get("http://reviews:9080/").await?.echo()?;
        }
        client.grpc_check("http://stock:9090").await?;
        client.get("http://api.example.com:9080/").await?.echo()?;
        greet(mesh, "db").await?;

        let expect = ["db", "reviews", "stock"].map(host);
        wait::until("all that was called", async || {
            let found = mesh.collector()?.dependencies(NAMESPACE, WORKLOAD).await?;
            ensure!(found == expect, "{found:?}");
            let external = mesh.collector()?.external_hosts().await?;
            ensure!(external == ["api.example.com:9080"], "{external:?}");
            Ok(())
        })
        .await?;
        let metrics = mesh.collector()?.admin().text("/metrics").await?;
        let refused = "lazymesh_access_log_entries_total{outcome=\"rejected\"} 0";
        ensure!(metrics.contains(refused), "{metrics}");
        Ok(())
    });
}

#[test]
fn a_collector_that_comes_back_learns_on() {
    let mesh = Mesh::builder()
        .service(Service::http("reviews").known())
        .filter(Filter::None)
        .als(100);
    scenario(mesh, async |mesh| {
        mesh.collector_mut()?.restart().await?;
        wait::until("what is called now", async || {
            mesh.client().get("http://reviews:9080/").await?.echo()?;
            let found = mesh.collector()?.dependencies(NAMESPACE, WORKLOAD).await?;
            ensure!(found == [host("reviews")], "{found:?}");
            Ok(())
        })
        .await
    });
}

fn host(service: &str) -> String {
    format!("{NAMESPACE}/{service}.{NAMESPACE}.svc.cluster.local")
}

/// Connects, is greeted, and hangs up: a connection is logged when it ends.
async fn greet(mesh: &Mesh, service: &str) -> Result<()> {
    let destination = mesh.destination(service, 5432)?;
    let mut connection = mesh.client().dialer().dial(destination).await?;
    let mut first = [0; 1];
    connection.read_exact(&mut first).await?;
    Ok(())
}
