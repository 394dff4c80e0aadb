//! The first request to an unknown service of the mesh goes at once, over mTLS, with the caller's own identity.

use anyhow::{Result, ensure};
use http::StatusCode;
use lazymesh_e2e::{Mesh, Service, scenario::scenario, wait};

#[test]
fn the_callee_sees_the_callers_own_identity() {
    let mesh = Mesh::builder().service(Service::http("reviews"));
    scenario(mesh, async |mesh| {
        let echo = mesh.client().get("http://reviews:9080/").await?.echo()?;
        assert_eq!(echo.peer, Some(mesh.identity()));
        assert_eq!(
            echo.address,
            mesh.service("reviews")?.virtual_address(),
            "not direct"
        );
        assert_eq!(
            mesh.envoy()
                .filter_metric("lazymesh_decisions_direct")
                .await?,
            1
        );
        Ok(())
    });
}

#[test]
fn every_form_of_the_name_will_do() {
    let mesh = Mesh::builder().service(Service::http("reviews"));
    scenario(mesh, async |mesh| {
        mesh.istiod().pause();
        let address = mesh.service("reviews")?.cluster_ip.to_string();
        let names = [
            address.as_str(),
            "reviews",
            "reviews.shop",
            "reviews.shop.svc",
            "reviews.shop.svc.cluster.local",
            "REVIEWS.shop.svc.cluster.local.",
        ];
        for name in names {
            let echo = mesh
                .client()
                .get(&format!("http://{name}:9080/"))
                .await?
                .echo()?;
            assert_eq!(echo.peer, Some(mesh.identity()), "{name}");
        }
        Ok(())
    });
}

#[test]
fn a_wrong_identity_is_refused() {
    let mesh = Mesh::builder().service(Service::http("reviews").impostor());
    scenario(mesh, async |mesh| {
        let answer = mesh.client().get("http://reviews:9080/").await?;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(mesh.ledger("reviews")?.requests(), 0);
        Ok(())
    });
}

#[test]
fn grpc_too() {
    let mesh = Mesh::builder().service(Service::grpc("stock"));
    scenario(mesh, async |mesh| {
        mesh.client().grpc_check("http://stock:9090").await?;
        assert_eq!(mesh.ledger("stock")?.peers(), [Some(mesh.identity())]);
        assert_eq!(mesh.envoy().requests_through("lazymesh-direct").await?, 1);
        Ok(())
    });
}

#[test]
fn then_the_service_is_in_scope() {
    let mesh = Mesh::builder().service(Service::http("reviews"));
    scenario(mesh, async |mesh| -> Result<()> {
        mesh.client().get("http://reviews:9080/").await?.echo()?;
        let endpoint = mesh.service("reviews")?.endpoint();
        wait::until("a request on the real cluster", async || {
            let echo = mesh.client().get("http://reviews:9080/").await?.echo()?;
            ensure!(echo.address == endpoint, "still at {}", echo.address);
            Ok(())
        })
        .await?;
        let reviews = mesh.service("reviews")?.service.clone();
        assert_eq!(mesh.envoy().requests_through(&reviews.cluster()).await?, 1);

        let unresolved = mesh.envoy().filter_metric("lazymesh_unresolved").await?;
        mesh.client().get("http://reviews:9080/").await?.echo()?;
        let after = mesh.envoy().filter_metric("lazymesh_unresolved").await?;
        assert_eq!(
            unresolved, after,
            "resolved traffic never enters the filter"
        );

        let collector = mesh.collector()?;
        let dependencies = collector.dependencies("shop", "productpage").await?;
        assert_eq!(dependencies, [reviews.egress_host()]);
        let sidecar = collector
            .admin()
            .text("/v1/sidecars/shop/lazymesh-productpage")
            .await?;
        assert!(sidecar.contains(&reviews.egress_host()), "{sidecar}");
        Ok(())
    });
}
