//! What a pod's sidecar takes, and what istiod has sent it.

use anyhow::{Context, Result};
use http::Method;
use serde_json::Value;

use super::{Pod, PodSpec};
use crate::process::Process;

/// pilot-agent's status port.
const STATUS: u16 = 15020;

impl Pod {
    /// Envoy's process.
    ///
    /// # Errors
    /// When it does not run.
    pub fn envoy(&self) -> Result<Process> {
        self.sidecar()?.process()?.child("envoy")
    }

    /// What istiod calls the pod.
    #[must_use]
    pub fn node(&self) -> String {
        let PodSpec {
            name, namespace, ..
        } = self.spec();
        format!("{name}.{namespace}")
    }

    /// Bytes that Envoy has allocated and not freed.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn allocated(&self) -> Result<u64> {
        let memory: Value = serde_json::from_str(&self.envoy_admin("/memory").await?)?;
        let allocated = memory["allocated"].as_str().context("no `allocated`")?;
        Ok(allocated.parse()?)
    }

    /// A counter or gauge of Envoy's; Istio has it keep few.
    ///
    /// # Errors
    /// When Envoy does not answer, or has no such thing.
    pub async fn envoy_stat(&self, name: &str) -> Result<u64> {
        // A regular expression, in which a point is any character.
        let filter = name.replace(|c: char| !c.is_ascii_alphanumeric(), ".");
        let text = self.envoy_admin(&format!("/stats?filter={filter}")).await?;
        value(&text, name)
    }

    /// Bytes that Envoy has received from istiod, by way of pilot-agent, of all types of xDS but SDS.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn xds_bytes(&self) -> Result<u64> {
        self.envoy_stat("cluster.xds-grpc;.upstream_cx_rx_bytes_total")
            .await
    }

    /// xDS responses that istiod has sent.
    ///
    /// # Errors
    /// When pilot-agent does not answer.
    pub async fn xds_responses(&self) -> Result<u64> {
        // pilot-agent passes the query on to Envoy, whose metrics are not asked for.
        let text = self
            .local(STATUS, Method::GET, "/metrics?filter=nothing")
            .await?;
        value(&text, "istio_agent_xds_proxy_responses")
    }
}

/// Of lines as `name: value`, or as Prometheus writes them.
fn value(lines: &str, name: &str) -> Result<u64> {
    let mut values = lines
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix([':', ' ']));
    let value = values.next().with_context(|| format!("no {name}"))?;
    Ok(value.trim().parse::<f64>()? as u64)
}
