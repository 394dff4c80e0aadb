//! Hosts outside the mesh: those that a ServiceEntry brings in are learned, others pass as they always did.

use anyhow::{Result, ensure};
use lazymesh_e2e::{
    lab::{self, reference},
    wait,
};
use serde_json::json;

use crate::{
    asking::{PASSTHROUGH, apply, ask, until_learned, until_taken},
    lazy::Lazy,
};

#[test]
fn a_service_entry_s_wildcard_is_learned_once_for_all_its_hosts() -> Result<()> {
    lab::scenario("wildcard", async |lab, namespace| {
        let (eu, us) = ("http://eu.wildcard.example", "http://us.wildcard.example");
        let _outside = lab
            .external(&["eu.wildcard.example", "us.wildcard.example"])
            .await?;
        let spec = json!({
            "hosts": ["*.wildcard.example"],
            "ports": [{ "number": 80, "name": "http", "protocol": "HTTP" }],
        });
        apply(lab, "ServiceEntry", (namespace, "wildcard"), spec).await?;
        let lazy = Lazy::start(lab, namespace).await?;
        let cluster = "outbound|80||*.wildcard.example";
        let first = ask(&lazy.client, eu).await?;
        ensure!(first.cluster == cluster, "it took {}", first.cluster);
        until_learned(&lazy, &[format!("{namespace}/*.wildcard.example")]).await?;
        for origin in [eu, us] {
            until_taken(&lazy.client, origin, cluster).await?;
        }
        Ok(())
    })
}

#[test]
fn a_host_outside_the_mesh_passes_and_is_recorded() -> Result<()> {
    lab::scenario("outside", async |lab, namespace| {
        let _outside = lab.external(&["outside.example", "tls.example"]).await?;
        let lazy = Lazy::start(lab, namespace).await?;
        let first = ask(&lazy.client, "http://outside.example").await?;
        ensure!(first.cluster == PASSTHROUGH, "it took {}", first.cluster);
        until_recorded("outside.example").await?;
        // What is not HTTP is passed on as it is.
        let arguments = ["https://tls.example/tls", "--insecure"];
        let reply = lazy.client.send(&arguments).await?;
        ensure!(reply.status == 200, "{reply:?}");
        let line = lazy.client.logged(":443 ").await?;
        ensure!(line.contains(PASSTHROUGH), "{line}");
        until_recorded("tls.example").await?;

        // One more host is learned, so that the client has a Sidecar that could have others.
        ask(&lazy.client, "http://server").await?;
        let learned = format!("{namespace}/server.{namespace}.svc.cluster.local");
        until_learned(&lazy, &[learned]).await?;
        let hosts = lazy.sidecar("lazymesh-client").await?;
        let outside = hosts.iter().any(|host| host.ends_with(".example"));
        ensure!(!outside, "{hosts:?}");
        Ok(())
    })
}

async fn until_recorded(host: &str) -> Result<()> {
    let lazymesh = lab::lazymesh().await?;
    wait::until(&format!("{host} to be recorded"), async || {
        let hosts = lazymesh.admin("/v1/external-hosts").await?;
        ensure!(hosts.contains(&format!("\"{host}\"")), "{hosts}");
        Ok(())
    })
    .await
}

#[test]
fn an_alias_of_a_host_outside_the_mesh_passes() -> Result<()> {
    lab::scenario("alias-outside", async |lab, namespace| {
        let _outside = lab.external(&["aliased.example"]).await?;
        let mut alias = reference("v1", "Service", namespace, "alias");
        alias["spec"] = json!({ "type": "ExternalName", "externalName": "aliased.example" });
        lab.cluster().apply_object(&alias).await?;
        let lazy = Lazy::start(lab, namespace).await?;
        for _ in 0..2 {
            let asked = ask(&lazy.client, "http://alias").await?;
            ensure!(asked.cluster == PASSTHROUGH, "it took {}", asked.cluster);
            let learned = format!("{namespace}/alias.{namespace}.svc.cluster.local");
            until_learned(&lazy, &[learned]).await?;
        }
        Ok(())
    })
}
