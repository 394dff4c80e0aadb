//! The demonstration: a workload whose sidecar knows one service calls others.
//!
//! It tells what it sees, not what it expects: every line with a ✓ is a fact that was checked.

mod keep;
mod report;
mod sent;
mod steps;

use anyhow::Result;
use serde_json::{Value, json};

use crate::{External, Mesh, Service};
use report::Report;

/// Runs the demonstration, and says whether all of it was true. With `keep` everything runs on until Ctrl-C.
///
/// # Errors
/// When a part does not start.
pub async fn run(keep: bool) -> Result<bool> {
    let mut report = Report::new();
    report.heading("An application behind a real Envoy; its sidecar is scoped by lazymesh");
    let mut mesh = Mesh::builder()
        .service(Service::http("details").known())
        .service(Service::http("reviews"))
        .service(Service::http("ratings"))
        .service(Service::grpc("stock"))
        .service(Service::http("recommendations"))
        .manifest(shape("ratings"))
        .external(External::http("api.example.com"))
        .external(External::http("cdn.example.net"))
        .start()
        .await?;
    steps::scoped(&mesh, &mut report).await;

    report.heading("First requests, each to a host that the sidecar does not know");
    steps::first_requests(&mesh, &mut report).await;
    report.heading("What lazymesh made of them");
    steps::learned(&mesh, &mut report).await;
    report.heading("The collector goes away, and comes back");
    steps::outage(&mut mesh, &mut report).await;

    let all_true = report.conclude();
    if !all_true {
        mesh.fail();
    }
    if keep {
        keep::until_interrupted(&mesh).await?;
    }
    Ok(all_true)
}

/// A DestinationRule: only the cluster that istiod makes of it will do for this host.
fn shape(host: &str) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": { "name": host, "namespace": crate::simulation::NAMESPACE },
        "spec": {
            "host": host,
            "trafficPolicy": { "connectionPool": { "http": { "http1MaxPendingRequests": 100 } } },
        },
    })
}
