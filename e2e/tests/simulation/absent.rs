//! Without a working module, lazymesh is not there: plain passthrough, as Istio without it.

use std::{fs, path::PathBuf};

use anyhow::Result;
use http::Request;
use http_body_util::Empty;
use lazymesh_e2e::{CollectorKind, Exposure, External, Filter, Mesh, Service, scenario::scenario};
use lazymesh_protocol::CLUSTER_HEADER;

#[test]
fn the_module_cannot_be_fetched() {
    check(Filter::DownloadFailed);
}

#[test]
fn the_modules_file_is_missing() {
    check(Filter::Module(PathBuf::from("/nonexistent.wasm")));
}

#[test]
fn the_module_is_none() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let module = directory.path().join("plugin.wasm");
    fs::write(&module, "no WebAssembly at all")?;
    check(Filter::Module(module));
    Ok(())
}

fn check(filter: Filter) {
    let mesh = Mesh::builder()
        .service(Service::http("reviews").exposure(Exposure::Permissive))
        .service(Service::http("details").known())
        .external(External::http("api.example.com"))
        .filter(filter)
        .collector(CollectorKind::Down);
    scenario(mesh, async |mesh| {
        for (url, peer) in [
            ("http://reviews:9080/", None),
            ("http://api.example.com:9080/", None),
            ("http://details:9080/", Some(mesh.identity())),
        ] {
            assert_eq!(mesh.client().get(url).await?.echo()?.peer, peer, "{url}");
            // Nor may the application choose a cluster then: this one would be a 503.
            let request = Request::get(url)
                .header(CLUSTER_HEADER, "BlackHoleCluster")
                .body(Empty::new())?;
            assert_eq!(
                mesh.client().send(request).await?.echo()?.peer,
                peer,
                "{url}"
            );
        }
        Ok(())
    });
}
