//! Connections that are not HTTP are decided before anything of them has gone on.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use lazymesh_e2e::{
    CollectorKind, Exposure, External, Mesh, MeshBuilder, Service, fake_collector::Behaviour,
    scenario::scenario, wait,
};
use lazymesh_protocol::{Decision, PassthroughReason};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::{Instant, timeout},
};

/// The filter's `resolve_timeout_ms` by default.
const CALLOUT: Duration = Duration::from_millis(500);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_millis(1_000);
/// Longest wait for anything that should come.
const LONG: Duration = Duration::from_secs(10);
const EXTERNAL: Decision = Decision::Passthrough {
    reason: PassthroughReason::External,
};

#[test]
fn a_server_that_speaks_first_greets_over_mtls() {
    scenario(deciding(direct()), async |mesh| {
        let mut connection = connect(mesh, "db").await?;
        ensure!(greeting(&mut connection).await? == "hello from db\n");
        let calls = mesh.ledger("db")?.calls();
        let (call, _) = calls.first_key_value().context("no call")?;
        assert_eq!(call.peer, Some(mesh.identity()));
        assert_eq!(call.address, mesh.service("db")?.virtual_address());
        assert_eq!(metric(mesh, "lazymesh_decisions_direct").await?, 1);
        Ok(())
    });
}

#[test]
fn a_hundred_first_connections_share_callouts() {
    scenario(deciding(direct()), async |mesh| {
        let dials = (0..100).map(async |_| {
            let mut connection = connect(mesh, "db").await?;
            greeting(&mut connection).await
        });
        for greeting in try_join_all(dials).await? {
            assert_eq!(greeting, "hello from db\n");
        }
        // One a worker at most: the other may not have heard of its answer yet.
        let callouts = metric(mesh, "lazymesh_callouts").await?;
        assert!((1..=2).contains(&callouts), "{callouts}");
        assert_eq!(mesh.ledger("db")?.peers(), [Some(mesh.identity())]);
        Ok(())
    });
}

#[test]
fn no_byte_is_lost_while_a_connection_waits() {
    let slow = Behaviour::answer(direct(), Duration::from_millis(300));
    scenario(mesh(CollectorKind::Fake(slow)), async |mesh| {
        let sent: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
        let (mut from, mut to) = connect(mesh, "db").await?.into_inner().into_split();
        let write = async {
            to.write_all(&sent).await?;
            Ok(to.shutdown().await?)
        };
        let read = async {
            let mut received = Vec::new();
            from.read_to_end(&mut received).await?;
            anyhow::Ok(received)
        };
        let ((), received) = timeout(LONG, async { tokio::try_join!(write, read) }).await??;
        let echo = received.strip_prefix(b"hello from db\n");
        ensure!(echo == Some(sent.as_slice()), "{} bytes", received.len());
        Ok(())
    });
}

#[test]
fn a_wrong_identity_is_refused() {
    let mesh = Mesh::builder()
        .service(Service::tcp("db").impostor())
        .collector(answering(direct()));
    scenario(mesh, async |mesh| {
        let mut connection = connect(mesh, "db").await?;
        assert_eq!(greeting(&mut connection).await?, "");
        assert_eq!(mesh.ledger("db")?.requests(), 0);
        Ok(())
    });
}

#[test]
fn a_held_connection_takes_its_cluster_and_the_next_its_listener() {
    scenario(deciding(hold()), async |mesh| {
        let dial = async {
            let mut connection = connect(mesh, "db").await?;
            let greeting = greeting(&mut connection).await?;
            anyhow::Ok((connection, greeting))
        };
        let learn = async {
            wait::until("a connection to be held", async || {
                let held = metric(mesh, "lazymesh_held").await?;
                ensure!(held == 1, "{held}");
                Ok(())
            })
            .await?;
            publish(mesh, &["shop/db.shop.svc.cluster.local"])
        };
        let ((mut first, greeted), ()) = tokio::try_join!(dial, learn)?;
        assert_eq!(greeted, "hello from db\n");
        assert_eq!(addresses(mesh)?, [mesh.service("db")?.endpoint()]);

        wait::until("the service's own listener", async || {
            let before = metric(mesh, "lazymesh_unresolved").await?;
            greeting(&mut connect(mesh, "db").await?).await?;
            let after = metric(mesh, "lazymesh_unresolved").await?;
            ensure!(before == after, "the catch-all filter chain took it");
            Ok(())
        })
        .await?;
        first.write_all(b"still here\n").await?;
        assert_eq!(greeting(&mut first).await?, "still here\n");
        Ok(())
    });
}

#[test]
fn a_cluster_that_does_not_come_leaves_a_connection_as_dialled() {
    scenario(permissive(answering(hold())), async |mesh| {
        let started = Instant::now();
        talk(mesh, "db").await?;
        let elapsed = started.elapsed();
        let bounds = Duration::from_millis(900)..Duration::from_secs(4);
        assert!(bounds.contains(&elapsed), "{elapsed:?}");
        assert_eq!(metric(mesh, "lazymesh_hold_timeouts").await?, 1);
        assert_eq!(mesh.ledger("db")?.peers(), [None]);
        Ok(())
    });
}

#[test]
fn without_an_answer_a_connection_goes_as_dialled_in_bounded_time() {
    let slow = Behaviour::answer(direct(), Duration::from_secs(5));
    for collector in [
        CollectorKind::Down,
        CollectorKind::Fake(slow),
        CollectorKind::Fake(Behaviour::Status(500)),
        CollectorKind::Fake(Behaviour::Reset),
    ] {
        scenario(permissive(collector), async |mesh| {
            for _ in 0..5 {
                let started = Instant::now();
                talk(mesh, "db").await?;
                let elapsed = started.elapsed();
                assert!(elapsed < CALLOUT + SLACK, "{elapsed:?}");
            }
            assert_eq!(mesh.ledger("db")?.peers(), [None]);
            Ok(())
        });
    }
}

#[test]
fn what_is_not_the_mesh_s_waits_for_nobody() {
    let slow = Behaviour::answer(EXTERNAL, Duration::from_secs(5));
    let mesh = Mesh::builder()
        .external(External::tcp("db.example.com"))
        .collector(CollectorKind::Fake(slow));
    scenario(mesh, async |mesh| {
        for _ in 0..20 {
            let started = Instant::now();
            let mut connection = connect(mesh, "db.example.com").await?;
            assert_eq!(
                greeting(&mut connection).await?,
                "hello from db.example.com\n"
            );
            assert!(started.elapsed() < CALLOUT, "{:?}", started.elapsed());
        }
        assert_eq!(metric(mesh, "lazymesh_outside").await?, 20);
        assert_eq!(mesh.fake_collector()?.questions(), 0);
        Ok(())
    });
}

#[test]
fn a_client_that_leaves_while_it_waits_takes_nothing_with_it() {
    let slow = Behaviour::answer(direct(), Duration::from_millis(300));
    scenario(mesh(CollectorKind::Fake(slow)), async |mesh| {
        let leaving = connect(mesh, "db").await?.into_inner();
        wait::until("the connection to wait", async || {
            ensure!(metric(mesh, "lazymesh_callouts").await? == 1);
            Ok(())
        })
        .await?;
        leaving.set_zero_linger()?;
        drop(leaving);
        let mut staying = connect(mesh, "db").await?;
        assert_eq!(greeting(&mut staying).await?, "hello from db\n");
        assert_eq!(metric(mesh, "lazymesh_held").await?, 0);
        Ok(())
    });
}

fn mesh(collector: CollectorKind) -> MeshBuilder {
    Mesh::builder()
        .service(Service::tcp("db"))
        .collector(collector)
}

fn deciding(decision: Decision) -> MeshBuilder {
    mesh(answering(decision))
}

fn permissive(collector: CollectorKind) -> MeshBuilder {
    let service = Service::tcp("db").exposure(Exposure::Permissive);
    Mesh::builder().service(service).collector(collector)
}

fn answering(decision: Decision) -> CollectorKind {
    CollectorKind::Fake(Behaviour::answer(decision, Duration::ZERO))
}

fn direct() -> Decision {
    Decision::Direct {
        subject_alt_names: vec!["spiffe://cluster.local/ns/shop/sa/db".to_owned()],
        server_name: "outbound_.5432_._.db.shop.svc.cluster.local".to_owned(),
    }
}

fn hold() -> Decision {
    Decision::Hold {
        cluster: Service::tcp("db").cluster(),
        split: Vec::new(),
        timeout_ms: 1_000,
    }
}

async fn connect(mesh: &Mesh, host: &str) -> Result<BufReader<TcpStream>> {
    let destination = mesh.destination(host, 5432)?;
    let stream = mesh.client().dialer().dial(destination).await?;
    Ok(BufReader::new(stream))
}

/// The next line; nothing where the connection ends.
async fn greeting(connection: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    timeout(LONG, connection.read_line(&mut line)).await??;
    Ok(line)
}

/// A protocol whose client speaks first: a PERMISSIVE server waits for it, to tell mTLS from plain text.
async fn talk(mesh: &Mesh, host: &str) -> Result<()> {
    let mut connection = connect(mesh, host).await?;
    connection.write_all(b"ping\n").await?;
    assert_eq!(
        greeting(&mut connection).await?,
        format!("hello from {host}\n")
    );
    assert_eq!(greeting(&mut connection).await?, "ping\n");
    Ok(())
}

async fn metric(mesh: &Mesh, name: &str) -> Result<u64> {
    mesh.envoy().filter_metric(name).await
}

fn addresses(mesh: &Mesh) -> Result<Vec<SocketAddr>> {
    let calls = mesh.ledger("db")?.calls();
    Ok(calls.into_keys().map(|call| call.address).collect())
}

/// Publishes a Sidecar, as a collector would.
fn publish(mesh: &Mesh, hosts: &[&str]) -> Result<()> {
    let sidecar = serde_json::json!({
        "metadata": { "name": "lazymesh-productpage", "namespace": "shop" },
        "spec": {
            "workloadSelector": { "labels": { "service.istio.io/canonical-name": "productpage" } },
            "egress": [{ "hosts": hosts }],
        },
    });
    let file = mesh
        .directory()
        .join("sidecars/shop/lazymesh-productpage.yaml");
    let next = file.with_extension("next");
    std::fs::write(&next, sidecar.to_string())?;
    Ok(std::fs::rename(&next, &file)?)
}
