//! Traffic that the sidecar's own configuration resolves, and traffic of a sidecar without any filter: what Istio
//! does today, and what the other scenarios are measured against.

use anyhow::Result;
use lazymesh_e2e::{CollectorKind, Exposure, External, Filter, Mesh, Service, scenario::scenario};

#[test]
fn a_service_in_scope_goes_over_mutual_tls() {
    let mesh = Mesh::builder()
        .service(Service::http("reviews").known())
        .service(Service::grpc("stock").known())
        .filter(Filter::None)
        .collector(CollectorKind::Down);
    scenario(mesh, async |mesh| {
        let echo = mesh.client().get("http://reviews:9080/").await?.echo()?;
        assert_eq!(echo.peer, Some(mesh.identity()));
        assert_eq!(echo.address, mesh.service("reviews")?.endpoint());
        mesh.client().grpc_check("http://stock:9090").await?;
        assert_eq!(mesh.ledger("stock")?.peers(), [Some(mesh.identity())]);
        Ok(())
    });
}

#[test]
fn without_a_filter_unknown_hosts_go_by_passthrough() {
    let mesh = Mesh::builder()
        .service(Service::http("reviews"))
        .service(Service::http("ratings").exposure(Exposure::Permissive))
        .external(External::http("api.example.com"))
        .filter(Filter::None)
        .collector(CollectorKind::Down);
    scenario(mesh, async |mesh| -> Result<()> {
        let client = mesh.client();
        assert_eq!(
            client.get("http://reviews:9080/").await?.status,
            503,
            "plain text to STRICT"
        );
        let echo = client.get("http://ratings:9080/").await?.echo()?;
        assert_eq!(
            (echo.peer, echo.address),
            (None, mesh.service("ratings")?.virtual_address())
        );
        let echo = client.get("http://api.example.com:9080/").await?.echo()?;
        assert_eq!(echo.service, "api.example.com");
        Ok(())
    });
}
