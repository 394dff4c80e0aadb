//! The first request to a service that only its real cluster can serve waits until that cluster arrives.

use std::time::Duration;

use lazymesh_e2e::{Exposure, Mesh, MeshBuilder, Service, scenario::scenario};
use serde_json::{Value, json};

#[test]
fn a_service_that_a_destination_rule_shapes() {
    scenario(shaped(Exposure::Strict), async |mesh| {
        let echo = mesh.client().get("http://reviews:9080/").await?.echo()?;
        assert_eq!(echo.peer, Some(mesh.identity()));
        assert_eq!(
            echo.address,
            mesh.service("reviews")?.endpoint(),
            "not by its cluster"
        );
        assert_eq!(
            mesh.envoy()
                .filter_metric("lazymesh_decisions_hold")
                .await?,
            1
        );
        assert_eq!(mesh.envoy().filter_metric("lazymesh_held").await?, 0);
        Ok(())
    });
}

#[test]
fn a_service_without_sidecars() {
    let mesh = Mesh::builder().service(Service::http("reviews").exposure(Exposure::NoSidecar));
    scenario(mesh, async |mesh| {
        let echo = mesh.client().get("http://reviews:9080/").await?.echo()?;
        assert_eq!(
            (echo.peer, echo.address),
            (None, mesh.service("reviews")?.endpoint())
        );
        Ok(())
    });
}

#[test]
fn grpc_too() {
    let mesh = Mesh::builder()
        .service(Service::grpc("stock"))
        .manifest(destination_rule("stock"));
    scenario(mesh, async |mesh| {
        mesh.client().grpc_check("http://stock:9090").await?;
        let stock = mesh.service("stock")?.service.clone();
        assert_eq!(mesh.envoy().requests_through(&stock.cluster()).await?, 1);
        Ok(())
    });
}

#[test]
fn a_cluster_that_does_not_come_in_time_means_passthrough() {
    scenario(shaped(Exposure::Permissive), async |mesh| {
        mesh.istiod().pause();
        let answer = mesh.client().get("http://reviews:9080/").await?;
        let echo = answer.echo()?;
        assert_eq!(
            (echo.peer, echo.address),
            (None, mesh.service("reviews")?.virtual_address())
        );
        let bounds = Duration::from_millis(1_900)..Duration::from_secs(4);
        assert!(bounds.contains(&answer.elapsed), "{:?}", answer.elapsed);
        assert_eq!(
            mesh.envoy().filter_metric("lazymesh_hold_timeouts").await?,
            1
        );
        Ok(())
    });
}

fn shaped(exposure: Exposure) -> MeshBuilder {
    Mesh::builder()
        .service(Service::http("reviews").exposure(exposure))
        .manifest(destination_rule("reviews"))
}

fn destination_rule(host: &str) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": { "name": host, "namespace": "shop" },
        "spec": {
            "host": format!("{host}.shop.svc.cluster.local"),
            "trafficPolicy": { "connectionPool": { "http": { "http1MaxPendingRequests": 100 } } },
        },
    })
}
