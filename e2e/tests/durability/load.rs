//! Sidecars that meet hosts which the collector has not seen.

use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use lazymesh_protocol::{Protocol, RESOLVE_PATH, ResolveRequest, ResolveResponse, Source};
use tokio::task::JoinSet;

use crate::facts::Facts;

const CLIENTS: usize = 32;
const SERVICES: usize = 100;
const NAMESPACE: &str = "shop";

/// The services that may be met.
pub(crate) fn manifests() -> String {
    let mut text =
        format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}\n");
    for number in 0..SERVICES {
        write!(
            text,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: svc-{number}, namespace: {NAMESPACE}}}\n\
             spec: {{clusterIP: 10.96.0.{number}, ports: [{{name: http, port: 80}}]}}\n"
        )
        .unwrap();
    }
    text
}

/// Asks, from many workloads that are new in each round, until the collector is gone. What was acknowledged.
pub(crate) async fn until_gone(ingest: SocketAddr, round: usize) -> Result<Facts> {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(ask_until_gone(ingest, format!("w{round}-{client}")));
    }
    let mut acknowledged = Facts::default();
    while let Some(facts) = clients.join_next().await {
        acknowledged.extend(facts??);
    }
    Ok(acknowledged)
}

async fn ask_until_gone(ingest: SocketAddr, workload: String) -> Result<Facts> {
    let http = reqwest::Client::new();
    let mut acknowledged = Facts::default();
    for number in 0.. {
        let external = format!("host-{number}.example.com");
        let (authority, expect) = match number {
            0..SERVICES => (format!("svc-{number}"), None),
            _ => (external.clone(), Some(external)),
        };
        let request = ResolveRequest {
            source: Source {
                namespace: NAMESPACE.to_owned(),
                workload: workload.clone(),
                cluster: None,
                service_account: None,
            },
            authority: Some(authority),
            destination: None,
            protocol: Protocol::Http,
        };
        let sent = http
            .post(format!("http://{ingest}{RESOLVE_PATH}"))
            .json(&request)
            .send()
            .await;
        let Ok(response) = sent else {
            return Ok(acknowledged);
        };
        ensure!(response.status().is_success(), "{}", response.status());
        // An answer that was cut short acknowledges nothing.
        let Ok(answer) = response.json::<ResolveResponse>().await else {
            return Ok(acknowledged);
        };
        let host = answer
            .host
            .or(expect)
            .context("a service was taken for external")?;
        acknowledged.add(NAMESPACE, &workload, &host);
    }
    Ok(acknowledged)
}
