//! A collector in trouble costs a request a bounded wait, and soon nothing: the circuit breaker opens.

use std::time::Duration;

use anyhow::{Result, ensure};
use http::{Request, header};
use http_body_util::Empty;
use lazymesh_e2e::{
    CollectorKind, Exposure, Mesh, MeshBuilder, Service, client::Answer, fake_collector::Behaviour,
    scenario::scenario, wait,
};
use lazymesh_protocol::{Decision, PassthroughReason};

const WORKERS: u32 = 2;
/// The filter's `resolve_timeout_ms` by default.
const CALLOUT: Duration = Duration::from_millis(500);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_millis(1_000);

#[test]
fn down() {
    check(CollectorKind::Down);
}

#[test]
fn slow() {
    check(CollectorKind::Fake(Behaviour::answer(
        PASSTHROUGH,
        Duration::from_secs(2),
    )));
}

#[test]
fn answering_500() {
    check(CollectorKind::Fake(Behaviour::Status(500)));
}

#[test]
fn answering_garbage() {
    check(CollectorKind::Fake(Behaviour::Body(
        b"\x00\xff no JSON {\"decision\": ",
    )));
}

#[test]
fn answering_another_decision() {
    check(CollectorKind::Fake(Behaviour::Body(
        b"{\"decision\":\"teleport\",\"ttl_ms\":1000}",
    )));
}

#[test]
fn answering_100_megabytes() {
    check(CollectorKind::Fake(Behaviour::Huge(100 << 20)));
}

#[test]
fn resetting_connections() {
    check(CollectorKind::Fake(Behaviour::Reset));
}

/// What makes the crate `proxy-wasm` trap: the end of the call is told without headers, though some have come (ADR 6).
#[test]
fn closing_behind_the_headers() {
    check(CollectorKind::Fake(Behaviour::CutShort));
}

/// Every request is answered by passthrough in bounded time; when the breaker of every worker is open, at once and
/// without asking.
fn check(collector: CollectorKind) {
    let mesh = mesh(collector).configure(|config| {
        config.breaker_backoff_ms = 60_000;
        config.breaker_max_backoff_ms = 60_000;
    });
    scenario(mesh, async |mesh| {
        let before = mesh.envoy().process().memory()?.resident;
        let mut hosts = 0..;
        let breakers = wait::until("the breakers to open", async || {
            let answer = request(mesh, hosts.next().unwrap_or_default()).await?;
            assert_eq!(answer.echo()?.peer, None);
            assert!(answer.elapsed < CALLOUT + SLACK, "{:?}", answer.elapsed);
            let open = mesh.envoy().filter_metric("lazymesh_breaker_open").await?;
            ensure!(
                open == u64::from(WORKERS),
                "{open} of {WORKERS} breakers are open"
            );
            Ok(())
        });
        breakers.await?;

        let callouts = mesh.envoy().filter_metric("lazymesh_callouts").await?;
        for _ in 0..20 {
            let answer = request(mesh, hosts.next().unwrap_or_default()).await?;
            answer.echo()?;
            assert!(answer.elapsed < CALLOUT, "{:?}", answer.elapsed);
        }
        assert_eq!(
            mesh.envoy().filter_metric("lazymesh_callouts").await?,
            callouts
        );
        let growth = mesh
            .envoy()
            .process()
            .memory()?
            .resident
            .saturating_sub(before);
        assert!(growth < 100 << 20, "Envoy grew by {growth} bytes");
        Ok(())
    });
}

#[test]
fn a_collector_that_recovers_is_asked_again() {
    let mesh = mesh(CollectorKind::Fake(Behaviour::Status(500))).configure(|config| {
        config.breaker_backoff_ms = 200;
        config.breaker_max_backoff_ms = 400;
    });
    scenario(mesh, async |mesh| -> Result<()> {
        let mut hosts = 0..;
        let mut breakers = async |expect: u64| {
            wait::until("the breakers", async || {
                request(mesh, hosts.next().unwrap_or_default())
                    .await?
                    .echo()?;
                let open = mesh.envoy().filter_metric("lazymesh_breaker_open").await?;
                ensure!(open == expect, "{open} open, not {expect}");
                Ok(())
            })
            .await
        };
        breakers(u64::from(WORKERS)).await?;
        mesh.fake_collector()?
            .behave(Behaviour::answer(PASSTHROUGH, Duration::ZERO));
        breakers(0).await?;
        assert!(
            mesh.envoy()
                .filter_metric("lazymesh_decisions_passthrough")
                .await?
                > 0
        );
        Ok(())
    });
}

#[test]
fn an_expired_decision_is_better_than_none() {
    let mesh = Mesh::builder()
        .service(Service::http("reviews"))
        .collector(CollectorKind::Fake(Behaviour::Status(500)));
    scenario(mesh, async |mesh| -> Result<()> {
        let direct = Decision::Direct {
            subject_alt_names: vec!["spiffe://cluster.local/ns/shop/sa/reviews".to_owned()],
            server_name: "outbound_.9080_._.reviews.shop.svc.cluster.local".to_owned(),
        };
        mesh.fake_collector()?.behave(Behaviour::Answer {
            decision: direct,
            delay: Duration::ZERO,
            ttl: Duration::from_millis(200),
        });
        mesh.client().get("http://reviews:9080/").await?.echo()?;
        mesh.fake_collector()?.behave(Behaviour::Status(500));
        wait::until("the breakers to open", async || {
            let answer = mesh.http2_client().get("http://reviews:9080/").await?;
            assert_eq!(answer.echo()?.peer, Some(mesh.identity()));
            let open = mesh.envoy().filter_metric("lazymesh_breaker_open").await?;
            ensure!(
                open == u64::from(WORKERS),
                "{open} of {WORKERS} breakers are open"
            );
            Ok(())
        })
        .await
    });
}

const PASSTHROUGH: Decision = Decision::Passthrough {
    reason: PassthroughReason::External,
};

fn mesh(collector: CollectorKind) -> MeshBuilder {
    Mesh::builder()
        .service(Service::http("reviews").exposure(Exposure::Permissive))
        .collector(collector)
        .concurrency(WORKERS)
}

/// A request to a host that was never asked for, on a connection of its own, so that all workers get some.
async fn request(mesh: &Mesh, number: u32) -> Result<Answer> {
    let request = Request::get("http://reviews:9080/")
        .header(header::HOST, format!("host-{number}.example.com"))
        .header(header::CONNECTION, "close")
        .body(Empty::new())?;
    mesh.client().send(request).await
}
