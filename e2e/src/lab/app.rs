//! The application of a pod, and requests that it makes. Both are the program `lazymesh-app`.

use std::{collections::BTreeMap, path::Path, process::Stdio};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::{
    network::KUBERNETES,
    part::Part,
    pod::{Entrance, GREETING, HTTP, PodSpec, Program},
};

/// Where the program is, inside a pod.
pub(super) const PROGRAM: &str = "/run/app";

/// What came back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// Status of HTTP.
    pub status: u16,
    /// Header fields, names in lower case; of repeated ones the last.
    pub headers: BTreeMap<String, String>,
    /// Body, as text.
    pub body: String,
    /// From dialling to the last byte, in milliseconds.
    pub milliseconds: f64,
}

impl Reply {
    /// What the lab's application says that it was asked.
    ///
    /// # Errors
    /// When something else answered.
    pub fn echo(&self) -> Result<Echo> {
        serde_json::from_str(&self.body).with_context(|| format!("{} {}", self.status, self.body))
    }
}

/// The body of the application's answers: the request as it got it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Echo {
    /// Name of the pod that answered.
    pub pod: String,
    /// Version of HTTP, for example `HTTP/1.1`.
    pub version: String,
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Authority, or Host.
    pub authority: String,
    /// Header fields, names in lower case; repeated ones joined by commas.
    pub headers: BTreeMap<String, String>,
}

impl Echo {
    /// The SPIFFE identity of the caller, as the callee's sidecar saw it.
    #[must_use]
    pub fn caller(&self) -> Option<&str> {
        let last = self
            .headers
            .get("x-forwarded-client-cert")?
            .rsplit(',')
            .next()?;
        last.split(';').find_map(|pair| pair.strip_prefix("URI="))
    }
}

/// Starts the pod's application.
pub(super) fn start(spec: &PodSpec, entrance: &Entrance, folder: &Path) -> Result<Part> {
    let sandbox = entrance.sandbox.clone();
    let name = spec.name.clone();
    let program = spec.program.clone().unwrap_or_else(ours);
    Part::start("app", folder, move || {
        let mut command = sandbox.command(&program.path);
        command
            .args(&program.arguments)
            .env("POD_NAME", &name)
            .env("KUBERNETES_SERVICE_HOST", KUBERNETES.to_string())
            .env("KUBERNETES_SERVICE_PORT", "443")
            .envs(&program.env);
        command
    })
}

fn ours() -> Program {
    let arguments = [
        "serve",
        "--http",
        &HTTP.to_string(),
        "--greeting",
        &GREETING.to_string(),
    ];
    Program {
        path: PROGRAM.into(),
        arguments: arguments.map(Into::into).into(),
        env: BTreeMap::new(),
    }
}

/// Runs the client in the pod.
pub(super) async fn ask(entrance: &Entrance, arguments: &[&str]) -> Result<Reply> {
    let mut command = tokio::process::Command::from(entrance.sandbox.command(PROGRAM));
    let output = command
        .arg("get")
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot start the client")?;
    ensure!(
        output.status.success(),
        "no answer to {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    serde_json::from_slice(&output.stdout).context("not an answer of the client")
}
