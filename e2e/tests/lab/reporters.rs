//! Whom the collector believes: a workload speaks for itself, as its certificate says, and for nobody else.

use anyhow::{Context, Result, ensure};
use lazymesh_e2e::{
    lab::{self, Lazymesh, Pod, PodSpec, Reply},
    wait,
};
use serde_json::{Value, json};

const RESOLVE: &str = "http://lazymesh-collector.lazymesh-system:8480/v1/resolve";
const REFUSED: &str = "lazymesh_identity_refused_total ";

#[test]
fn a_workload_speaks_for_itself_and_for_nobody_else() -> Result<()> {
    lab::scenario("reporters", async |lab, namespace| {
        let lazymesh = lab::lazymesh().await?;
        lab.namespace(namespace, &[]).await?;
        let outsider = PodSpec {
            without_sidecar: true,
            ..PodSpec::new(namespace, "outsider")
        };
        let (client, _victim, outsider) = tokio::try_join!(
            lab.pod(PodSpec::new(namespace, "client").service_account("caller")),
            lab.pod(PodSpec::new(namespace, "victim").service_account("victim")),
            lab.pod(outsider),
        )?;
        let own = json!({ "namespace": namespace, "workload": "client" });
        wait::until("the client to be known", async || {
            let reply = report(&client, &own, None).await?;
            ensure!(reply.status == 200, "{reply:?}");
            Ok(())
        })
        .await?;

        let before = refused(&lazymesh).await?;
        let victim = json!({ "namespace": namespace, "workload": "victim" });
        let its_account = json!({
            "namespace": namespace, "workload": "victim", "service_account": "victim",
        });
        let other_namespace = json!({ "namespace": lab::LAZYMESH_NAMESPACE, "workload": "client" });
        let nobody = json!({ "namespace": namespace, "workload": "nobody" });
        let forged = forged(namespace);
        let refusals = [
            (&victim, None),
            (&its_account, None),
            (&other_namespace, None),
            (&nobody, None),
            // Its own sidecar, or the collector's, drops what an application says of itself, or adds the truth behind it.
            (&victim, Some(forged.as_str())),
        ];
        for (source, header) in refusals {
            let reply = report(&client, source, header).await?;
            ensure!(reply.status == 403, "{source}: {reply:?}");
            ensure!(reply.body.contains(",2026:identity"), "{reply:?}");
        }
        let reply = report(&client, &own, Some(&forged)).await?;
        ensure!(reply.status == 200, "{reply:?}");
        let after = refused(&lazymesh).await?;
        ensure!(
            after - before >= refusals.len() as u64,
            "{before}, then {after}"
        );

        report(&outsider, &own, Some(&forged))
            .await
            .expect_err("STRICT takes no plain text");
        Ok(())
    })
}

/// Reports a host for `source`, with one more header.
async fn report(pod: &Pod, source: &Value, header: Option<&str>) -> Result<Reply> {
    let body = json!({ "source": source, "authority": "nowhere.example:80", "protocol": "http" });
    let body = body.to_string();
    let json = "content-type: application/json";
    let mut arguments = vec![
        RESOLVE, "--method", "POST", "--body", &body, "--header", json,
    ];
    arguments.extend(header.iter().flat_map(|header| ["--header", header]));
    pod.send(&arguments).await
}

/// How many reports the collector has refused for who sent them.
async fn refused(lazymesh: &Lazymesh) -> Result<u64> {
    let metrics = lazymesh.admin("/metrics").await?;
    let line = metrics.lines().find_map(|line| line.strip_prefix(REFUSED));
    Ok(line.with_context(|| metrics.clone())?.parse()?)
}

/// What a certificate of the victim's would have made the collector's sidecar say.
fn forged(namespace: &str) -> String {
    let id = |namespace, account| format!("spiffe://cluster.local/ns/{namespace}/sa/{account}");
    format!(
        "x-forwarded-client-cert: By={};Hash=00;URI={}",
        id(lab::LAZYMESH_NAMESPACE, "lazymesh-collector"),
        id(namespace, "victim"),
    )
}
