use std::fs;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use lazymesh_collector::Addresses;
use serde_json::Value;

use crate::lazymesh::{Run, command, run};
use crate::mesh::Mesh;

const PATIENCE: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_millis(10);

/// `lazymesh collector` as a process of its own; dies with this.
pub(crate) struct Process {
    child: Option<Child>,
    pub(crate) addresses: Addresses,
}

impl Process {
    /// Starts one and waits until it is ready.
    pub(crate) fn start(mesh: &Mesh, flags: &[&str]) -> Self {
        Self::spawn(command(), mesh, flags)
    }

    fn spawn(mut command: std::process::Command, mesh: &Mesh, flags: &[&str]) -> Self {
        let child = command
            .arg("collector")
            .args(mesh.flags())
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let written = || fs::read(mesh.path("addresses.json")).ok();
        let written = wait_for("its addresses", written);
        let process = Self {
            child: Some(child),
            addresses: serde_json::from_slice(&written).expect("addresses"),
        };
        wait_for("it to be ready", || {
            process
                .get("/readyz")
                .filter(|ready| ready["ready"] == true)
        });
        process
    }

    /// As [`Process::start`], on a disk that is full when a file has 2 MiB.
    fn start_on_a_small_disk(mesh: &Mesh) -> Self {
        let shell = "trap '' XFSZ; ulimit -f 4096; exec \"$@\"";
        let mut small = std::process::Command::new("sh");
        small.args(["-c", shell, "sh"]).arg(command().get_program());
        Self::spawn(small, mesh, &[])
    }

    /// `--url` of its admin port.
    pub(crate) fn url(&self) -> String {
        format!("--url=http://{}", self.addresses.admin)
    }

    fn get(&self, path: &str) -> Option<Value> {
        let url = format!("http://{}{path}", self.addresses.admin);
        block_on(async { reqwest::get(url).await.ok()?.json().await.ok() })
    }

    /// Has workload `shop/web` meet a host.
    pub(crate) fn resolve(&self, authority: &str) {
        let question = serde_json::json!({
            "source": {"namespace": "shop", "workload": "web"},
            "authority": authority,
            "protocol": "http",
        });
        let url = format!("http://{}/v1/resolve", self.addresses.ingest);
        let answer = block_on(reqwest::Client::new().post(url).json(&question).send());
        assert_eq!(answer.expect("an answer").status(), 200);
    }

    /// Has workload `shop/<workload>` meet 200 hosts outside the mesh; whether that was written down.
    fn report(&self, workload: &str) -> bool {
        let reports = (0..200).map(|n| {
            let authority = format!("{}-{n}.example.com", "x".repeat(60));
            serde_json::json!({"authority": authority, "protocol": "http", "count": 1})
        });
        let body = serde_json::json!({
            "source": {"namespace": "shop", "workload": workload},
            "reports": reports.collect::<Vec<_>>(),
        });
        let url = format!("http://{}/v1/reports", self.addresses.ingest);
        let answer = block_on(reqwest::Client::new().post(url).json(&body).send());
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    /// Waits until it ends by itself.
    fn end(mut self) -> Run {
        let mut child = self.child.take().expect("a process");
        wait_for("its end", || child.try_wait().expect("a state"));
        child.wait_with_output().expect("an end").into()
    }

    /// Stops it by a signal; the answer is how it ended.
    fn stop(mut self, signal: &str) -> Run {
        let child = self.child.take().expect("a process");
        let killed = std::process::Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        assert!(killed.expect("kill runs").success());
        child.wait_with_output().expect("an end").into()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().expect("it runs");
            child.wait().expect("an end");
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(future)
}

/// Waits until there is something to see.
#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "the pause between two looks at a condition, with a deadline"
)]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        sleep(GLANCE);
    }
}

#[test]
fn a_signal_ends_it_well() {
    for signal in ["-TERM", "-INT"] {
        let mesh = Mesh::new();
        let ended = Process::start(&mesh, &[]).stop(signal);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("listening"), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn a_store_that_fails_ends_it() {
    let mesh = Mesh::new();
    let collector = Process::start_on_a_small_disk(&mesh);
    let failed = (0..1_000).any(|n| !collector.report(&format!("w{n}")));
    assert!(failed, "the disk is not small");
    let ended = collector.end();
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    let told = "error: the store has failed, so this collector ends";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    // A disk with room again, and all is well.
    fs::remove_file(mesh.path("addresses.json")).expect("a file");
    Process::start(&mesh, &[]).resolve("api.example.com");
}

#[test]
fn logs_can_be_json() {
    let mesh = Mesh::new();
    let ended = Process::start(&mesh, &["--log-format=json", "--log=info"]).stop("-TERM");
    let lines: Vec<Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let listening = lines
        .iter()
        .find(|line| line["message"] == "listening")
        .expect("the line");
    assert!(listening["admin"].is_string(), "{listening}");
}

#[test]
fn nothing_hostile_is_logged() {
    let mesh = Mesh::new();
    let collector = Process::start(&mesh, &["--log=debug"]);
    let url = format!("http://{}/v1/resolve", collector.addresses.ingest);
    let hostile = "\u{1b}[31m\r\nforged line\u{7}🦀".repeat(20);
    let question = serde_json::json!({
        "source": {"namespace": hostile, "workload": hostile},
        "authority": hostile,
        "protocol": hostile,
    });
    let send = |body: String| {
        let request = reqwest::Client::new()
            .post(&url)
            .header("content-type", "application/json");
        let status = block_on(request.body(body).send())
            .expect("an answer")
            .status();
        assert!(status.is_client_error());
    };
    send(question.to_string());
    send(question.to_string().replace(
        &format!("\"protocol\":{}", serde_json::json!(hostile)),
        "\"protocol\":\"http\"",
    ));
    send(hostile.clone());
    let ended = collector.stop("-TERM");
    let raw = ended.stderr.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(raw, None, "{:?}", ended.stderr);
    assert!(
        !ended.stderr.lines().any(|line| line.starts_with("forged")),
        "{}",
        ended.stderr
    );
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let mesh = Mesh::new();
    let collector = Process::start(&mesh, &[]);
    collector.resolve("reviews");
    drop(collector);
    fs::remove_file(mesh.path("addresses.json")).expect("a file");
    let collector = Process::start(&mesh, &[]);
    let workload = run(&["workloads", "shop/web", "-o", "json", &collector.url()]).json();
    assert_eq!(
        workload["dependencies"][0]["host"],
        "shop/reviews.shop.svc.cluster.local"
    );
}

#[test]
fn mistakes_are_explained() {
    let mesh = Mesh::new();
    let flags = mesh.flags();
    let start = |flag: &str| {
        let run: Run = command()
            .arg("collector")
            .args(&flags)
            .args([flag])
            .output()
            .expect("it runs")
            .into();
        run.error()
    };
    assert!(start("--log=info,=,").contains("--log"));
    let open = command()
        .args([
            "collector",
            "--data-dir=x",
            "--manifests=y",
            "--admin=0.0.0.0:0",
            "--ingest=127.0.0.1:0",
        ])
        .output();
    let open = Run::from(open.expect("it runs")).error();
    assert!(open.contains("expected an address on loopback"), "{open}");
}
