//! Bodies and upgraded connections go through the filter unharmed, and through its pauses.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _, stream};
use http::Request;
use http_body_util::StreamBody;
use hyper::body::{Body, Frame};
use lazymesh_e2e::{
    CollectorKind, Exposure, Mesh, Service, client::Answer, fake_collector::Behaviour,
    scenario::scenario,
};
use lazymesh_protocol::{Decision, PassthroughReason};
use tokio_tungstenite::tungstenite::Message;

const GIGABYTE: u64 = 1 << 30;
const MEGABYTE: u64 = 1 << 20;

#[test]
fn a_gigabyte_in_the_first_request_over_mutual_tls() {
    let mesh = Mesh::builder().service(Service::http("reviews"));
    scenario(mesh, async |mesh| {
        let before = mesh.envoy().process().memory()?.resident;
        let peak = AtomicU64::new(0);
        let answer = tokio::select! {
            answer = upload(mesh, GIGABYTE) => answer?,
            error = watch_memory(mesh, &peak) => return error,
        };
        assert_eq!(answer.text(), GIGABYTE.to_string());
        assert_eq!(mesh.ledger("reviews")?.peers(), [Some(mesh.identity())]);
        let growth = peak.into_inner().saturating_sub(before) / MEGABYTE;
        assert!(growth < 64, "Envoy grew by {growth} MB");
        Ok(())
    });
}

#[test]
fn a_body_that_arrives_while_its_request_waits() {
    let passthrough = Decision::Passthrough {
        reason: PassthroughReason::External,
    };
    let slow = Behaviour::answer(passthrough, Duration::from_millis(500));
    let mesh = Mesh::builder()
        .service(Service::http("reviews").exposure(Exposure::Permissive))
        .collector(CollectorKind::Fake(slow))
        .configure(|config| config.resolve_timeout_ms = 5_000);
    scenario(mesh, async |mesh| {
        let answer = upload(mesh, 50 * MEGABYTE).await?;
        assert_eq!(answer.text(), (50 * MEGABYTE).to_string());
        Ok(())
    });
}

#[test]
fn a_web_socket() {
    let mesh = Mesh::builder().service(Service::http("reviews"));
    scenario(mesh, async |mesh| -> Result<()> {
        let mut socket = mesh.client().web_socket("ws://reviews:9080/chat").await?;
        for round in 0..100 {
            let message = Message::text(format!("{round} ").repeat(100));
            socket.send(message.clone()).await?;
            let echo = socket.next().await.context("the connection ended")??;
            assert_eq!(echo, message);
        }
        assert_eq!(mesh.ledger("reviews")?.peers(), [Some(mesh.identity())]);
        Ok(())
    });
}

async fn upload(mesh: &Mesh, bytes: u64) -> Result<Answer> {
    let request = Request::post("http://reviews:9080/upload").body(body(bytes))?;
    mesh.client()
        .send_within(request, Duration::from_secs(90))
        .await
}

fn body(bytes: u64) -> impl Body<Data = Bytes, Error = Infallible> {
    const CHUNK: &[u8] = &[b'x'; 1 << 16];
    let chunks = bytes / CHUNK.len() as u64;
    StreamBody::new(stream::iter(
        (0..chunks).map(|_| Ok(Frame::data(Bytes::from_static(CHUNK)))),
    ))
}

/// Ends only with an error.
async fn watch_memory(mesh: &Mesh, peak: &AtomicU64) -> Result<()> {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    loop {
        ticks.tick().await;
        peak.fetch_max(mesh.envoy().process().memory()?.resident, Ordering::Relaxed);
    }
}
