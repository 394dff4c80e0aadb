//! Hosts outside the mesh are reached as the application dialled them, and never enter a Sidecar.

use std::fs;

use anyhow::{Result, ensure};
use lazymesh_e2e::{External, Mesh, Service, scenario::scenario, wait};

#[test]
fn an_external_host_is_recorded_and_never_published() {
    let mesh = Mesh::builder()
        .service(Service::http("reviews"))
        .external(External::http("api.example.com"));
    scenario(mesh, async |mesh| -> Result<()> {
        let echo = mesh
            .client()
            .get("http://api.example.com:9080/")
            .await?
            .echo()?;
        assert_eq!(
            (echo.service.as_str(), echo.peer),
            ("api.example.com", None)
        );
        assert_eq!(
            mesh.envoy().requests_through("PassthroughCluster").await?,
            1
        );
        let hosts = mesh.collector()?.external_hosts().await?;
        assert_eq!(hosts, ["api.example.com:9080"]);

        // A Sidecar that was written later shows that nothing more was to be written for the external host.
        mesh.client().get("http://reviews:9080/").await?.echo()?;
        let sidecars = wait::until("the workload's Sidecar", async || {
            let sidecars = sidecars(mesh)?;
            ensure!(sidecars.contains("reviews.shop.svc"), "{sidecars}");
            Ok(sidecars)
        })
        .await?;
        assert!(!sidecars.contains("example.com"), "{sidecars}");
        Ok(())
    });
}

/// All Sidecars that were published, as text.
fn sidecars(mesh: &Mesh) -> Result<String> {
    let mut text = String::new();
    let mut folders = vec![mesh.directory().join("sidecars")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                text += &fs::read_to_string(path)?;
            }
        }
    }
    Ok(text)
}
