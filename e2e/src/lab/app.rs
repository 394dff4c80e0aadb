//! The application of a pod, and requests that it makes. Both are the program `lazymesh-app`.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::{
    entrance::{Entrance, GREETING, GRPC, HTTP},
    network::KUBERNETES,
    part::Part,
    pod_spec::{PodSpec, Program},
    sandbox::Sandbox,
};

/// Where the program is, inside a pod.
pub(super) const PROGRAM: &str = "/run/app";
/// Where the program is that a pod has instead.
pub(super) const OTHER: &str = "/run/program";

/// Makes the root file system read-only for one program: what has its own mount below it stays as it is.
const READ_ONLY: &str = r#"mount -o remount,bind,ro / && exec "$0" "$@""#;

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
    let program = spec.program.clone();
    Part::start("app", folder, move || {
        let mut command = match &program {
            Some(program) => other(&sandbox, program),
            None => ours(&sandbox),
        };
        command
            .env("POD_NAME", &name)
            .env("KUBERNETES_SERVICE_HOST", KUBERNETES.to_string())
            .env("KUBERNETES_SERVICE_PORT", "443");
        command
    })
}

fn ours(sandbox: &Sandbox) -> Command {
    let mut command = sandbox.command(PROGRAM);
    command
        .args(["serve", "--http", &HTTP.to_string()])
        .args(["--http", &GRPC.to_string()])
        .args(["--greeting", &GREETING.to_string()]);
    command
}

fn other(sandbox: &Sandbox, program: &Program) -> Command {
    let mut command = match (&program.image, program.user) {
        (Some(image), _) => image.command(sandbox, &program.volumes),
        (None, Some(user)) => confined(sandbox, &user.to_string()),
        (None, None) => sandbox.command(OTHER),
    };
    command.args(&program.arguments).envs(&program.env);
    command
}

/// As a container runtime starts a container that may do nothing but its work.
fn confined(sandbox: &Sandbox, user: &str) -> Command {
    let mut command = sandbox.command("unshare");
    command
        .args(["--mount", "--", "sh", "-c", READ_ONLY, "setpriv"])
        .args(["--reuid", user, "--regid", user, "--clear-groups"])
        .args(["--bounding-set", "-all", "--inh-caps", "-all"])
        .args(["--no-new-privs", "--", OTHER]);
    command
}

/// Runs the client in the pod: `get` or `grpc`.
pub(super) async fn ask(entrance: &Entrance, what: &str, arguments: &[&str]) -> Result<Reply> {
    let mut command = tokio::process::Command::from(entrance.sandbox.command(PROGRAM));
    let output = command
        .arg(what)
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

/// Has the pod's shell dial, and read a line.
pub(super) async fn greeting(entrance: &Entrance, host: &str, port: u16) -> Result<String> {
    let mut command = tokio::process::Command::from(entrance.sandbox.command("bash"));
    let dial = format!("timeout 5 head -n1 < /dev/tcp/{host}/{port}");
    let command = command.args(["-c", &dial]).kill_on_drop(true);
    let output = command.output().await.context("cannot start bash")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
