//! A collector that runs in this process.

use std::future::Future;
use std::time::Duration;

use clap::Parser;
use lazymesh_collector::{Addresses, Config, Server, ServerError};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::mesh::Mesh;

const PATIENCE: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_millis(10);

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    config: Config,
}

/// The configuration that a command line gives, on free ports of loopback unless it says other.
pub(crate) fn config(mesh: &Mesh, flags: &[&str]) -> Config {
    let path = |name| mesh.path(name).display().to_string();
    let defaults = [
        format!("--data-dir={}", path("data")),
        format!("--manifests={}", path("manifests")),
        format!("--publish-dir={}", path("sidecars")),
        "--ingest=127.0.0.1:0".to_owned(),
        "--admin=127.0.0.1:0".to_owned(),
        "--settle=0s".to_owned(),
    ];
    let defaults = defaults.into_iter().filter(|default| {
        let flag = default.split('=').next().unwrap_or_default();
        !flags
            .iter()
            .any(|given| given.split('=').next() == Some(flag))
    });
    let flags = flags.iter().map(|&flag| flag.to_owned());
    let own = std::iter::once("collector".to_owned());
    Command::try_parse_from(own.chain(defaults).chain(flags))
        .expect("a valid command line")
        .config
}

pub(crate) struct Running {
    pub(crate) addresses: Addresses,
    http: reqwest::Client,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServerError>>,
}

impl Running {
    /// Starts a collector and waits until it is ready.
    pub(crate) async fn start(mesh: &Mesh) -> Self {
        Self::start_with(mesh, &[]).await
    }

    /// As [`Running::start`], with flags.
    pub(crate) async fn start_with(mesh: &Mesh, flags: &[&str]) -> Self {
        let running = Self::begin(mesh, flags).await;
        until("it is ready", async || {
            running.get("/readyz").await["ready"] == true
        })
        .await;
        running
    }

    /// Starts a collector that need not become ready.
    pub(crate) async fn begin(mesh: &Mesh, flags: &[&str]) -> Self {
        let server = Server::start(config(mesh, flags)).await.expect("it starts");
        let addresses = server.addresses();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self {
            addresses,
            http: reqwest::Client::new(),
            stop,
            task,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self
            .http
            .get(format!("http://{}{path}", self.addresses.admin))
            .send()
            .await;
        answer.expect("an answer").json().await.unwrap_or_default()
    }

    /// Whether a workload has pods, or anything was learned about it.
    pub(crate) async fn knows(&self, workload: &str) -> bool {
        let path = format!("/v1/workloads/{workload}");
        self.get(&path).await["name"].is_string()
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.addresses.admin);
        let answer = self.http.get(url).send().await.expect("an answer");
        answer.text().await.expect("a text")
    }

    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let text = self.text("/metrics").await;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .expect("the metric");
        value.trim().parse().expect("a number")
    }

    /// Has workload `shop/<workload>` meet a host.
    pub(crate) async fn resolve(&self, workload: &str, authority: &str) -> Value {
        let answer = self.ask(workload, authority).await;
        assert_eq!(answer.status(), 200);
        answer.json().await.expect("JSON")
    }

    /// As [`Running::resolve`], with this `traceparent`.
    pub(crate) async fn resolve_in(&self, traceparent: &str, workload: &str, authority: &str) {
        let request = self.question("shop", workload, authority);
        let request = request.header("traceparent", traceparent);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
    }

    /// As [`Running::resolve`], with whatever comes of it.
    pub(crate) async fn ask(&self, workload: &str, authority: &str) -> reqwest::Response {
        self.ask_from("shop", workload, authority).await
    }

    /// As [`Running::ask`], for a workload of any namespace.
    pub(crate) async fn ask_from(
        &self,
        namespace: &str,
        workload: &str,
        authority: &str,
    ) -> reqwest::Response {
        let request = self.question(namespace, workload, authority);
        request.send().await.expect("an answer")
    }

    fn question(
        &self,
        namespace: &str,
        workload: &str,
        authority: &str,
    ) -> reqwest::RequestBuilder {
        let question = json!({
            "source": {"namespace": namespace, "workload": workload},
            "authority": authority,
            "protocol": "http",
        });
        let request = self
            .http
            .post(format!("http://{}/v1/resolve", self.addresses.ingest));
        request.json(&question)
    }

    /// Has the filter of workload `shop/<workload>` tell of holds that timed out.
    pub(crate) async fn time_out(&self, workload: &str, holds: u64) {
        let report = json!({
            "source": {"namespace": "shop", "workload": workload},
            "reports": [],
            "trouble": {"protocol": "http", "hold_timeouts": holds},
        });
        let url = format!("http://{}/v1/reports", self.addresses.ingest);
        let answer = self.http.post(url).json(&report).send().await;
        assert_eq!(answer.expect("an answer").status(), 200);
    }

    /// Deletes something; the status of the answer.
    pub(crate) async fn delete(&self, path: &str) -> u16 {
        let url = format!("http://{}{path}", self.addresses.admin);
        let answer = self.http.delete(url).send().await;
        answer.expect("an answer").status().as_u16()
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(self) -> Result<(), ServerError> {
        self.ask_to_stop().await.expect("no panic")
    }

    /// Asks it to stop; the answer is how it ends.
    pub(crate) fn ask_to_stop(self) -> JoinHandle<Result<(), ServerError>> {
        self.stop.send(()).expect("it runs");
        self.task
    }
}

/// Waits until something is true.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(GLANCE).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, wait).await.is_ok(),
        "waited in vain until {what}"
    );
}
