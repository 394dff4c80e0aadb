//! Only the filter chooses a cluster: what an application sends in its header is ignored.

use http::Request;
use http_body_util::Empty;
use lazymesh_e2e::{
    CollectorKind, External, Filter, Mesh, Service, client::Answer, scenario::scenario,
};
use lazymesh_protocol::CLUSTER_HEADER;

#[test]
fn a_header_of_the_application_is_ignored() {
    let mesh = Mesh::builder()
        .service(Service::http("reviews"))
        .service(Service::http("details").known())
        .external(External::http("api.example.com"));
    scenario(mesh, async |mesh| {
        // Chosen by the application, this cluster would be a 503.
        for (url, peer) in [
            ("http://reviews:9080/", Some(mesh.identity())),
            ("http://api.example.com:9080/", None),
        ] {
            let echo = send(mesh, url).await?.echo()?;
            assert_eq!(echo.peer, peer, "{url}");
            assert!(
                !echo.headers.contains_key(CLUSTER_HEADER),
                "{url}: {echo:?}"
            );
        }
        // The filter does not run here, nor does anything read the header.
        send(mesh, "http://details:9080/").await?.echo()?;
        Ok(())
    });
}

#[test]
fn even_when_the_filter_is_not_there() {
    let mesh = Mesh::builder()
        .external(External::http("api.example.com"))
        .filter(Filter::DownloadFailed)
        .collector(CollectorKind::Down);
    scenario(mesh, async |mesh| {
        send(mesh, "http://api.example.com:9080/").await?.echo()?;
        Ok(())
    });
}

async fn send(mesh: &Mesh, url: &str) -> anyhow::Result<Answer> {
    let request = Request::get(url)
        .header(CLUSTER_HEADER, "BlackHoleCluster")
        .header(CLUSTER_HEADER, "lazymesh-direct")
        .body(Empty::new())?;
    mesh.client().send(request).await
}
