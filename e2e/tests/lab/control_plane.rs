//! The data plane without its control plane: what a mesh can do without lazymesh, lazymesh must not spoil.

use std::time::Duration;

use anyhow::{Result, ensure};
use lazymesh_e2e::{
    lab::{self, PodSpec},
    wait,
};

#[test]
fn traffic_outlives_istiod_and_kube_apiserver() -> Result<()> {
    lab::disturbance("restarts", async |lab, namespace| {
        lab.service(namespace, "server").await?;
        let (client, _server) = tokio::try_join!(
            lab.pod(PodSpec::new(namespace, "client")),
            lab.pod(PodSpec::new(namespace, "server")),
        )?;
        wait::until("an answer", async || {
            let reply = client.get("http://server/").await?;
            ensure!(reply.status == 200, "{reply:?}");
            Ok(())
        })
        .await?;

        let traffic = client.traffic(&["http://server/"], Duration::from_millis(10))?;
        lab.restart_istiod().await?;
        lab.restart_apiserver().await?;
        let tally = traffic.stop().await?;
        ensure!(tally.sent > 100, "{tally:?}");
        ensure!(tally.failed == 0, "{tally:?}");

        // The control plane works again: a new pod gets its configuration.
        lab.pod(PodSpec::new(namespace, "late")).await.map(drop)
    })
}

#[test]
fn a_host_outside_the_cluster_is_reached_through_the_sidecar() -> Result<()> {
    lab::scenario("external", async |lab, namespace| {
        let _external = lab.external(&["api.example.com"]).await?;
        let client = lab.pod(PodSpec::new(namespace, "client")).await?;
        for arguments in [
            &["http://api.example.com/plain"][..],
            &["https://api.example.com/tls", "--insecure"],
        ] {
            let reply = client.send(arguments).await?;
            assert_eq!(reply.echo()?.pod, "api.example.com");
        }
        let line = client.logged(" 198.18.").await?;
        ensure!(line.contains("PassthroughCluster"), "{line}");
        Ok(())
    })
}
