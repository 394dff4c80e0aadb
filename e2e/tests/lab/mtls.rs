//! The lab itself: without this being true, no other scenario means anything.

use anyhow::{Result, ensure};
use lazymesh_e2e::{
    lab::{self, PodSpec},
    wait,
};

#[test]
fn a_strict_service_sees_who_calls_and_refuses_those_without_identity() -> Result<()> {
    lab::scenario("strict-mtls", async |lab, namespace| {
        lab.strict_mtls(namespace).await?;
        lab.service(namespace, "server").await?;
        let server = PodSpec::new(namespace, "server");
        let client = PodSpec::new(namespace, "client").service_account("caller");
        let outsider = PodSpec {
            without_sidecar: true,
            ..PodSpec::new(namespace, "outsider")
        };
        let (_server, client, outsider) =
            tokio::try_join!(lab.pod(server), lab.pod(client), lab.pod(outsider))?;
        lab.until_reachable(namespace, "server", 80).await?;

        let echo = wait::until("an answer", async || {
            let reply = client.get("http://server/hello?x=1").await?;
            ensure!(reply.status == 200, "{reply:?}");
            reply.echo()
        })
        .await?;
        assert_eq!(echo.pod, "server");
        assert_eq!(echo.path, "/hello?x=1");
        let caller = format!("spiffe://cluster.local/ns/{namespace}/sa/caller");
        assert_eq!(echo.caller(), Some(caller.as_str()));

        outsider
            .get("http://server/")
            .await
            .expect_err("STRICT takes no plain text");
        Ok(())
    })
}
