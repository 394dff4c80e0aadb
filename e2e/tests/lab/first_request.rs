//! The main job: the first request to an unknown host succeeds with the caller's own identity, and the next one finds
//! the host known.

use anyhow::Result;
use lazymesh_e2e::lab;
use serde_json::json;

use crate::lazy::{Lazy, until_known, until_learned};

#[test]
fn a_first_request_goes_direct_and_the_next_takes_the_cluster() -> Result<()> {
    lab::scenario("first-direct", async |lab, namespace| {
        let lazy = Lazy::start(lab, namespace).await?;
        assert_eq!(lazy.ask("/first").await?, "lazymesh-direct");
        learned(&lazy).await?;
        assert_eq!(lazy.ask("/second").await?, lazy.cluster());
        Ok(())
    })
}

#[test]
fn a_first_request_to_a_shaped_host_is_held_for_its_cluster() -> Result<()> {
    lab::scenario("first-hold", async |lab, namespace| {
        let mut rule = lab::reference(
            "networking.istio.io/v1",
            "DestinationRule",
            namespace,
            "server",
        );
        rule["spec"] = json!({
            "host": "server",
            "trafficPolicy": { "loadBalancer": { "simple": "LEAST_REQUEST" } },
            "subsets": [{ "name": "all", "labels": { "app": "server" } }],
        });
        lab.cluster().apply_object(&rule).await?;
        let lazy = Lazy::start(lab, namespace).await?;
        assert_eq!(lazy.ask("/first").await?, lazy.cluster());
        learned(&lazy).await?;
        assert_eq!(lazy.ask("/second").await?, lazy.cluster());
        Ok(())
    })
}

/// The client's own Sidecar has the server's host, and so has its Envoy.
async fn learned(lazy: &Lazy<'_>) -> Result<()> {
    until_learned(lazy.lab, lazy.namespace, "lazymesh-client", "server").await?;
    until_known(&lazy.client, &lazy.cluster()).await
}
