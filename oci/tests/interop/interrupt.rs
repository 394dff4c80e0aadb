//! Somebody presses Ctrl-C, or a machine is shut down, while the command is at it.

use std::convert::Infallible;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures::stream::{self, StreamExt as _};

use crate::command::{Place, outcome};
use crate::support::{FakeRegistry, artifact, module, with};

/// A registry that sends the first bytes of a blob, and then one now and then.
async fn slow_registry() -> FakeRegistry {
    let fake = FakeRegistry::start(|seen, _| {
        let start = stream::once(async { Bytes::from_static(b"\0asm") });
        let trickle = stream::repeat(()).then(|()| async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Bytes::from_static(b"x")
        });
        let body = Body::from_stream(start.chain(trickle).map(Ok::<_, Infallible>));
        seen.path
            .contains("/blobs/")
            .then(|| with(StatusCode::OK, &[], body))
    })
    .await;
    fake.holds(&artifact(module(100_000)));
    fake
}

fn files_begun(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with(".lazymesh-"))
        .count()
}

/// Starts a command and waits until it has begun a file in `folder`.
async fn begun(place: &Place, folder: &Path, arguments: &[&str]) -> Child {
    let mut command = place.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the binary runs");
    let deadline = Instant::now() + Duration::from_secs(20);
    while files_begun(folder) == 0 {
        assert!(Instant::now() < deadline, "no file was begun");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    child
}

fn send(signal: &str, to: &Child) {
    let mut kill = Command::new("kill");
    let sent = kill.args([signal, &to.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_behind() {
    let registry = slow_registry().await;
    let reference = format!("{}/lazymesh/filter:latest", registry.address);
    for (signal, said) in [("-INT", "interrupted"), ("-TERM", "terminated")] {
        let place = Place::new(b"old");
        let folder = place.path("");
        let child = begun(&place, &folder, &["pull", &reference, "--insecure"]).await;
        let start = Instant::now();
        send(signal, &child);
        let output = child.wait_with_output().expect("it ends");
        assert!(start.elapsed() < Duration::from_secs(10), "{signal}");
        let error = outcome(&output).expect_err("ended");
        assert!(error.contains(said), "{error}");
        assert_eq!(files_begun(&folder), 0, "{signal}");
        let target = std::fs::read(place.path("filter.wasm")).expect("there");
        assert_eq!(target, b"old");
    }
}

/// Not even the chance to clean up: what was there stays, and the next pull starts anew.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_next_pull_works() {
    let slow = slow_registry().await;
    let place = Place::new(b"old");
    let reference = format!("{}/lazymesh/filter:latest", slow.address);
    let folder = place.path("");
    let mut child = begun(&place, &folder, &["pull", &reference, "--insecure"]).await;
    child.kill().expect("killed");
    child.wait().expect("gone");
    let target = || std::fs::read(place.path("filter.wasm")).expect("there");
    assert_eq!(target(), b"old");
    assert_eq!(files_begun(&folder), 1, "what was begun stays, hidden");

    let good = FakeRegistry::start(|_, _| None).await;
    good.holds(&artifact(module(100_000)));
    let reference = format!("{}/lazymesh/filter:latest", good.address);
    let pulled = place.run(&["pull", &reference, "--insecure"]);
    pulled.expect("pulled");
    assert_eq!(target(), module(100_000));
    assert_eq!(files_begun(&folder), 1, "and is in nobody's way");
}
