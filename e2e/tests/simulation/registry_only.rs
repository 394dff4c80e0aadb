//! Under `REGISTRY_ONLY` services of the mesh work as under `ALLOW_ANY`; the rest is refused, as Istio does it.

use http::StatusCode;
use lazymesh_e2e::{
    External, Mesh, Service, scenario::scenario, simulation::istiod::OutboundTrafficPolicy,
};

#[test]
fn mesh_hosts_are_reached_and_others_refused() {
    let mesh = Mesh::builder()
        .service(Service::http("reviews"))
        .external(External::http("api.example.com"))
        .policy(OutboundTrafficPolicy::RegistryOnly);
    scenario(mesh, async |mesh| {
        let echo = mesh.client().get("http://reviews:9080/").await?.echo()?;
        assert_eq!(echo.peer, Some(mesh.identity()));
        assert_eq!(
            mesh.envoy()
                .filter_metric("lazymesh_decisions_direct")
                .await?,
            1
        );
        let answer = mesh.client().get("http://api.example.com:9080/").await?;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
        assert_eq!(mesh.ledger("api.example.com")?.requests(), 0);
        Ok(())
    });
}
