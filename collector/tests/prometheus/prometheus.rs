//! A real Prometheus, and an exporter that it scrapes.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::running::until;

/// A Prometheus that scrapes one target every second. It ends with this.
pub(crate) struct Prometheus {
    address: SocketAddr,
    exposed: Arc<Mutex<String>>,
    _process: Child,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one that has already taken in what is in this OpenMetrics text.
    pub(crate) async fn start(past: &str) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let data = folder.path().join("data");
        if !past.is_empty() {
            let file = folder.path().join("past");
            fs::write(&file, past).expect("a file");
            let mut promtool = Command::new("promtool");
            promtool.args(["tsdb", "create-blocks-from", "openmetrics"]);
            let output = promtool.arg(&file).arg(&data).output().await;
            let output = output.expect("promtool: run `cargo xtask test interop`");
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let exposed = Arc::new(Mutex::new(String::new()));
        let target = expose(Arc::clone(&exposed)).await;
        let config = folder.path().join("prometheus.yml");
        let scrape = format!(
            "scrape_configs: [{{job_name: sidecars, scrape_interval: 1s, scrape_timeout: 1s, \
             static_configs: [{{targets: ['{target}'], labels: {{namespace: shop}}}}]}}]"
        );
        fs::write(&config, scrape).expect("a file");
        let address = free();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg("--storage.tsdb.retention.time=90d")
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).expect("a file"))
            .kill_on_drop(true)
            .spawn()
            .expect("prometheus: run `cargo xtask test interop`");
        let prometheus = Self {
            address,
            exposed,
            _process: process,
            _folder: folder,
        };
        until("Prometheus is ready", async || {
            let ready = reqwest::get(format!("http://{address}/-/ready")).await;
            ready.is_ok_and(|it| it.status().is_success())
        })
        .await;
        prometheus
    }

    /// The flag that names it.
    pub(crate) fn flag(&self) -> String {
        format!("--prometheus-url=http://{}", self.address)
    }

    /// Shows this text from the next scrape on.
    pub(crate) fn expose(&self, text: &str) {
        text.clone_into(&mut self.exposed.lock());
    }
}

/// Serves a text; where.
async fn expose(text: Arc<Mutex<String>>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("an address");
    let show = get(move || async move { text.lock().clone() });
    let router = Router::new().route("/metrics", show);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// An address that nobody listens on.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}
