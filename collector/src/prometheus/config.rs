//! Holds what can be said about Prometheus on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reqwest::Url;
use thiserror::Error;

use super::query::Rename;
use crate::runtime::flag::{duration, url};

/// Where Istio's metrics are, and how they are called there.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Prometheus")]
pub struct PrometheusConfig {
    /// Prometheus, or what answers as it does, which has Istio's metrics of all sidecars: what they say was called is
    /// learned
    #[arg(
        long,
        value_name = "URL",
        value_parser = url,
        env = "LAZYMESH_PROMETHEUS_URL",
        hide_env_values = true
    )]
    pub prometheus_url: Option<Url>,
    /// File with a bearer token for it, read anew for each question
    #[arg(
        long,
        value_name = "FILE",
        env = "LAZYMESH_PROMETHEUS_TOKEN_FILE",
        requires = "prometheus_url"
    )]
    pub prometheus_token_file: Option<PathBuf>,
    /// PEM file with the certificates of the authorities that may vouch for it; https:// needs one
    #[arg(
        long,
        value_name = "FILE",
        env = "LAZYMESH_PROMETHEUS_CA_FILE",
        requires = "prometheus_url"
    )]
    pub prometheus_ca_file: Option<PathBuf>,
    /// How far back it is read when the collector starts, as in 720h
    #[arg(long, value_name = "TIME", default_value = "720h", value_parser = duration, env = "LAZYMESH_PROMETHEUS_LOOKBACK")]
    pub prometheus_lookback: Duration,
    /// How often it is asked for what is new
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = interval, env = "LAZYMESH_PROMETHEUS_INTERVAL")]
    pub prometheus_interval: Duration,
    /// How long one answer may take; what takes longer is asked for in smaller parts
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = interval, env = "LAZYMESH_PROMETHEUS_TIMEOUT")]
    pub prometheus_timeout: Duration,
    /// How a label is called there, as in source_workload=workload; of reporter, source_workload,
    /// source_workload_namespace, source_canonical_service, destination_service, response_code, and namespace, which is the scraped pod's. May
    /// be given many times
    #[arg(
        long,
        value_name = "LABEL=NAME",
        env = "LAZYMESH_PROMETHEUS_LABEL",
        value_delimiter = ','
    )]
    pub prometheus_label: Vec<Rename>,
    /// What else the series of this mesh have in common, as in cluster="prod"
    #[arg(long, value_name = "MATCHERS", env = "LAZYMESH_PROMETHEUS_MATCH")]
    pub prometheus_match: Option<String>,
}

/// Why Prometheus cannot be asked at all.
#[derive(Debug, Error)]
pub enum PrometheusError {
    /// The URL is of something else.
    #[error(
        "--prometheus-url: expected http:// or https:// with a host, and no user, password or query"
    )]
    Url,
    /// Nothing says whose certificates count.
    #[error("--prometheus-url: expected --prometheus-ca-file with https://, got none")]
    NoAuthorities,
    /// The authorities' certificates are of no use.
    #[error("--prometheus-ca-file {path}: expected certificates in PEM, got {reason}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The HTTP client cannot be set up.
    #[error("cannot set up the HTTP client for Prometheus: {0}")]
    Http(#[from] reqwest::Error),
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    match interval < Duration::from_secs(1) {
        true => Err(format!("expected at least 1s, got {text:?}")),
        false => Ok(interval),
    }
}
