//! Requests of a lazy client, and what became of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use lazymesh_e2e::{
    lab::{self, Echo, Lab, Pod},
    wait,
};
use serde_json::{Value, json};

use crate::lazy::Lazy;

/// The cluster of direct requests.
pub(crate) const DIRECT: &str = "lazymesh-direct";
/// Istio's cluster for what it does not know.
pub(crate) const PASSTHROUGH: &str = "PassthroughCluster";

/// What a request came to.
pub(crate) struct Asked {
    /// What the callee saw of it.
    pub(crate) echo: Echo,
    /// The cluster it took.
    pub(crate) cluster: String,
    /// Whether a route of the host itself took it there, not lazymesh's or Istio's for what is not known.
    pub(crate) known: bool,
}

/// Sends a request, which must be answered with 200. `origin` is scheme, host and port.
pub(crate) async fn ask(client: &Pod, origin: &str) -> Result<Asked> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let path = format!("/ask-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let reply = client.get(&format!("{origin}{path}")).await?;
    ensure!(reply.status == 200, "{origin}: {reply:?}");
    let echo = reply.echo()?;
    let line = client.logged(&format!(" {path} ")).await?;
    Ok(Asked {
        echo,
        cluster: cluster_in(&line)?,
        known: is_known(&line),
    })
}

/// Sends requests until one takes `cluster` by a route of the host itself. All of them must be answered with 200; gives the last one.
pub(crate) async fn until_taken(client: &Pod, origin: &str, cluster: &str) -> Result<Asked> {
    wait::until(&format!("{origin} to take {cluster}"), async || {
        // A request that fails is an end, not a reason to send another.
        let asked = ask(client, origin).await;
        if let Ok(asked) = &asked {
            ensure!(asked.cluster == cluster, "it took {}", asked.cluster);
            ensure!(asked.known, "the host is not known");
        }
        Ok(asked)
    })
    .await?
}

/// The cluster that a line of the access log tells of.
pub(crate) fn cluster_in(line: &str) -> Result<String> {
    // Behind the address of the upstream host, which is the last that is quoted.
    let fields = line.rsplit('"').next();
    let cluster = fields.and_then(|fields| fields.split_whitespace().next());
    Ok(cluster
        .with_context(|| format!("an odd line of the access log: {line}"))?
        .to_owned())
}

/// Whether a line of the access log tells of a route of the host itself. The route is what it ends with.
pub(crate) fn is_known(line: &str) -> bool {
    !line.ends_with(" lazymesh") && !line.ends_with(" allow_any")
}

/// Waits until the client's own Sidecar has these egress hosts.
pub(crate) async fn until_learned(lazy: &Lazy<'_>, hosts: &[String]) -> Result<()> {
    wait::until("a Sidecar to have hosts", async || {
        let all = lazy.sidecar("lazymesh-client").await?;
        let lacking: Vec<_> = hosts.iter().filter(|host| !all.contains(host)).collect();
        ensure!(lacking.is_empty(), "{all:?} lack {lacking:?}");
        Ok(())
    })
    .await
}

/// Applies an object of Istio's networking API.
pub(crate) async fn apply(
    lab: &Lab,
    kind: &str,
    (namespace, name): (&str, &str),
    spec: Value,
) -> Result<()> {
    let mut object = lab::reference("networking.istio.io/v1", kind, namespace, name);
    object["spec"] = spec;
    lab.cluster().apply_object(&object).await.map(drop)
}

/// One more Service for the pods of `server`.
pub(crate) async fn apply_service(lab: &Lab, namespace: &str, name: &str) -> Result<()> {
    let mut service = lab::reference("v1", "Service", namespace, name);
    service["spec"] = json!({
        "selector": { "app": "server" },
        "ports": [
            { "name": "http", "port": 80, "targetPort": lab::HTTP },
            { "name": "grpc", "port": 81, "targetPort": lab::GRPC },
        ],
    });
    lab.cluster().apply_object(&service).await.map(drop)
}
