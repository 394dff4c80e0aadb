//! Many requests for one unknown host ask once.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use lazymesh_e2e::{
    CollectorKind, Exposure, Mesh, Service, fake_collector::Behaviour, scenario::scenario, wait,
};
use lazymesh_protocol::{Decision, PassthroughReason};
use tokio::io::AsyncWriteExt as _;

const WORKERS: u32 = 2;

#[test]
fn a_thousand_first_requests_cause_one_callout_per_worker() {
    let slow = Behaviour::answer(PASSTHROUGH, Duration::from_millis(300));
    let mesh = Mesh::builder()
        .service(Service::http("reviews").exposure(Exposure::Permissive))
        .collector(CollectorKind::Fake(slow))
        .configure(|config| config.resolve_timeout_ms = 5_000)
        .concurrency(WORKERS);
    scenario(mesh, async |mesh| {
        thousand(mesh).await?;
        assert!(mesh.fake_collector()?.questions() <= u64::from(WORKERS));
        Ok(())
    });
}

#[test]
fn a_thousand_first_requests_over_mutual_tls() {
    let mesh = Mesh::builder()
        .service(Service::http("reviews"))
        .concurrency(WORKERS);
    scenario(mesh, async |mesh| {
        thousand(mesh).await?;
        assert_eq!(mesh.ledger("reviews")?.peers(), [Some(mesh.identity())]);
        let callouts = mesh.envoy().filter_metric("lazymesh_callouts").await?;
        assert!(callouts <= u64::from(WORKERS), "{callouts} callouts");
        Ok(())
    });
}

#[test]
fn who_asked_first_may_leave() {
    let slow = Behaviour::answer(PASSTHROUGH, Duration::from_secs(1));
    let mesh = Mesh::builder()
        .service(Service::http("reviews").exposure(Exposure::Permissive))
        .collector(CollectorKind::Fake(slow))
        .configure(|config| config.resolve_timeout_ms = 5_000)
        // All on one worker, so that all wait for the same answer.
        .concurrency(1);
    scenario(mesh, async |mesh| {
        let mut first = mesh
            .client()
            .dialer()
            .dial(mesh.destination("reviews", 9080)?)
            .await?;
        first
            .write_all(b"GET / HTTP/1.1\r\nhost: reviews:9080\r\n\r\n")
            .await?;
        wait::until("the callout", async || {
            ensure!(mesh.fake_collector()?.questions() == 1, "no callout");
            Ok(())
        })
        .await?;
        let others = async {
            let requests = (0..10).map(|_| mesh.client().get("http://reviews:9080/"));
            try_join_all(requests).await
        };
        let leave = async {
            wait::until("all to wait", async || {
                let active = "http.outbound_0.0.0.0_9080.downstream_rq_active";
                let waiting = mesh.envoy().stat(active).await?;
                ensure!(waiting == 11, "{waiting} of 11 wait");
                Ok(())
            })
            .await?;
            drop(first);
            anyhow::Ok(())
        };
        let (answers, ()) = tokio::try_join!(others, leave)?;
        for answer in answers {
            answer.echo()?;
        }
        Ok(())
    });
}

const PASSTHROUGH: Decision = Decision::Passthrough {
    reason: PassthroughReason::External,
};

/// 1,000 requests at once, on 20 connections of 50 streams; all must be answered.
async fn thousand(mesh: &Mesh) -> Result<()> {
    let clients: Vec<_> = (0..20).map(|_| mesh.http2_client()).collect();
    let requests = clients.iter().flat_map(|client| {
        let get = || client.get("http://reviews:9080/");
        std::iter::repeat_with(get).take(50)
    });
    for answer in try_join_all(requests).await? {
        answer.echo()?;
    }
    assert_eq!(mesh.ledger("reviews")?.requests(), 1_000);
    Ok(())
}
