//! What a pod's Envoy knows, and what it has done.

use std::fs;

use anyhow::{Context, Result};
use http::Method;
use serde_json::Value;

use super::{entrance::ACCESS_LOG, pod::Pod};
use crate::wait;

/// Envoy's admin port, on the pod's loopback.
const ADMIN: u16 = 15000;

impl Pod {
    /// An answer of Envoy's admin port to `GET`.
    ///
    /// # Errors
    /// When there is no answer, or none with status 200.
    pub async fn envoy_admin(&self, path: &str) -> Result<String> {
        self.local(ADMIN, Method::GET, path).await
    }

    /// As [`Pod::envoy_admin`], for what changes Envoy, such as `/logging?level=debug`.
    ///
    /// # Errors
    /// As [`Pod::envoy_admin`].
    pub async fn envoy_change(&self, path: &str) -> Result<String> {
        self.local(ADMIN, Method::POST, path).await
    }

    /// What Envoy has logged about requests so far; it writes once a second.
    ///
    /// # Errors
    /// When there is no such log yet.
    pub fn access_log(&self) -> Result<String> {
        fs::read_to_string(self.folder().join(ACCESS_LOG)).context("no access log yet")
    }

    /// Waits for the line of Envoy's access log that has `text` in it.
    ///
    /// # Errors
    /// When there never is one.
    pub async fn logged(&self, text: &str) -> Result<String> {
        wait::until(&format!("an access log line with {text}"), async || {
            let log = self.access_log()?;
            let line = log.lines().find(|line| line.contains(text));
            Ok(line.context("no such line")?.to_owned())
        })
        .await
    }

    /// One of the filter's own metrics; 0 for what never happened.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn filter_metric(&self, name: &str) -> Result<u64> {
        let stats = self.envoy_admin("/stats?filter=wasmcustom").await?;
        let start = format!("wasmcustom.{name}: ");
        let value = stats.lines().find_map(|line| line.strip_prefix(&start));
        Ok(value.map_or(Ok(0), str::parse)?)
    }

    /// Whether Envoy has a cluster.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn has_cluster(&self, name: &str) -> Result<bool> {
        let start = format!("{name}::");
        let clusters = self.envoy_admin("/clusters").await?;
        Ok(clusters.lines().any(|line| line.starts_with(&start)))
    }

    /// Whether a listener of Envoy's sends connections to a cluster by its name.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn has_listener_for(&self, cluster: &str) -> Result<bool> {
        let dump = "/config_dump?resource=dynamic_listeners";
        let dump = self.envoy_admin(dump).await?;
        Ok(dump.contains(&format!("\"{cluster}\"")))
    }

    /// Whether Envoy has a virtual host for a host on a port, so that requests for it need no filter.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn has_host(&self, port: u16, host: &str) -> Result<bool> {
        let dump = "/config_dump?resource=dynamic_route_configs";
        let dump: Value = serde_json::from_str(&self.envoy_admin(dump).await?)?;
        let configs = dump["configs"].as_array().into_iter().flatten();
        let mut configs = configs.map(|config| &config["route_config"]);
        let (port, name) = (port.to_string(), format!("{host}:{port}"));
        Ok(configs.any(|config| {
            let mut hosts = config["virtual_hosts"].as_array().into_iter().flatten();
            // That of a port whose protocol Istio detects is the host's own.
            (config["name"] == port || config["name"] == name)
                && hosts.any(|host| host["name"] == name)
        }))
    }
}
