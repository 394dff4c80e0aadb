//! TCP, which is not lazy yet: what could not be learned is not taken away.

use anyhow::{Context, Result, ensure};
use lazymesh_e2e::{lab, wait};
use serde_json::json;

use crate::lazy::Lazy;

#[test]
fn a_tcp_service_is_reached_over_mtls_from_a_lazy_client() -> Result<()> {
    lab::scenario("tcp", async |lab, namespace| {
        let mut service = lab::reference("v1", "Service", namespace, "greeter");
        service["spec"] = json!({
            "selector": { "app": "server" },
            "ports": [{ "name": "tcp", "port": lab::GREETING }],
        });
        lab.cluster().apply_object(&service).await?;
        let lazy = Lazy::start(lab, namespace).await?;
        lab.until_reachable(namespace, "greeter", lab::GREETING)
            .await?;
        // The server is STRICT and speaks first: it greets nobody who dials in plain text.
        let dial = format!("timeout 5 head -n1 < /dev/tcp/greeter/{}", lab::GREETING);
        wait::until("the greeting", async || {
            let output = lazy.client.command("bash").args(["-c", &dial]).output();
            let output = output.context("cannot start bash")?;
            let greeting = String::from_utf8_lossy(&output.stdout);
            ensure!(greeting.trim() == "hello from server", "{output:?}");
            Ok(())
        })
        .await
    })
}
