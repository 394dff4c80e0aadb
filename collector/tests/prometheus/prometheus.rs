//! A real Prometheus, and an exporter that it scrapes.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::running::until;

const CERTIFICATE: &str = "certificate.pem";
const TLS: &str = "--web.config.file=web.yml";

/// A Prometheus that scrapes one target every second. It ends with this.
pub(crate) struct Prometheus {
    address: SocketAddr,
    exposed: Arc<Mutex<String>>,
    _process: Child,
    folder: TempDir,
}

impl Prometheus {
    /// Starts one that has already taken in what is in this OpenMetrics text.
    pub(crate) async fn start(past: &str) -> Self {
        Self::start_with(past, &[]).await
    }

    /// As [`Prometheus::start`], with flags, and with TLS.
    pub(crate) async fn start_with_tls(past: &str, flags: &[&str]) -> Self {
        Self::start_with(past, &[flags, &[TLS]].concat()).await
    }

    async fn start_with(past: &str, flags: &[&str]) -> Self {
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
            .args(flags)
            .current_dir(write_certificate(folder.path()))
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).expect("a file"))
            .kill_on_drop(true)
            .spawn()
            .expect("prometheus: run `cargo xtask test interop`");
        let prometheus = Self {
            address,
            exposed,
            _process: process,
            folder,
        };
        until("Prometheus listens", async || {
            tokio::net::TcpStream::connect(address).await.is_ok()
        })
        .await;
        prometheus
    }

    /// The flag that names it.
    pub(crate) fn flag(&self) -> String {
        format!("--prometheus-url=http://{}", self.address)
    }

    /// The flags that name it where it speaks TLS.
    pub(crate) fn tls_flags(&self) -> [String; 2] {
        let authorities = self.folder.path().join(CERTIFICATE);
        [
            format!("--prometheus-url=https://localhost:{}", self.address.port()),
            format!("--prometheus-ca-file={}", authorities.display()),
        ]
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

/// Writes a certificate, its key, and a configuration that uses them into a folder.
fn write_certificate(folder: &Path) -> &Path {
    let names = vec!["localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    for (file, text) in [
        (CERTIFICATE, made.cert.pem()),
        ("key.pem", made.signing_key.serialize_pem()),
        (
            "web.yml",
            format!("tls_server_config: {{cert_file: {CERTIFICATE}, key_file: key.pem}}"),
        ),
    ] {
        fs::write(folder.join(file), text).expect("a file");
    }
    folder
}

/// An address that nobody listens on.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}
