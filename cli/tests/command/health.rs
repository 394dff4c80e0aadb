//! `check`, `status`, `version` and `bug-report`, without a cluster; `e2e/tests/kubernetes` has them with one.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::collector::{Process, wait_for};
use crate::lazymesh::{Run, command, run};
use crate::mesh::Mesh;

const HERE: &str = env!("CARGO_PKG_VERSION");
const NO_CLUSTER: &str = "--kubeconfig=/nowhere";

fn finding<'a>(findings: &'a Value, check: &str) -> &'a Value {
    let mut findings = findings.as_array().expect("a list").iter();
    findings
        .find(|it| it["check"] == check)
        .unwrap_or_else(|| panic!("no {check}"))
}

#[test]
fn status() {
    let mesh = Mesh::new();
    let collector = Process::start(&mesh, &[]);
    collector.resolve("reviews");
    let url = &*collector.url();
    let shown = run(&["status", url]).ok();
    for line in [
        &*format!("Version:          {HERE}"),
        "store:            ok",
        "Dependencies:     1",
    ] {
        assert!(shown.lines().any(|it| it == line), "{line} in\n{shown}");
    }
    let status = run(&["status", "-o", "json", url]).json();
    assert_eq!(
        (&status["ready"], &status["counts"]["services"]),
        (&json!(true), &json!(1.0))
    );

    fs::write(mesh.path("manifests/broken.yaml"), "kind: [\n").expect("a file");
    let unready = wait_for("it to be unready", || {
        let run = run(&["status", url]);
        (run.status == Some(1)).then_some(run)
    });
    assert_eq!(unready.stderr, "error: the collector is not ready\n");
    assert!(
        unready.stdout.contains("broken.yaml:"),
        "{}",
        unready.stdout
    );
}

#[test]
fn version() {
    let collector = Process::start(&Mesh::new(), &[]);
    let url = &*collector.url();
    let both = format!("Client:     {HERE}\nCollector:  {HERE}\n");
    assert_eq!(run(&["version", url]).ok(), both);
    let alone = run(&["version", "--client", "-o", "json"]).json();
    assert_eq!(alone, json!({ "client": HERE }));
    let absent = run(&["version", "--url=http://127.0.0.1:1"]);
    assert_eq!(absent.status, Some(1));
    assert_eq!(absent.stdout, format!("Client:     {HERE}\n"));
    assert!(absent.stderr.contains("is it running"), "{}", absent.stderr);
}

#[test]
fn check() {
    let collector = Process::start(&Mesh::new(), &["--prometheus-url=http://127.0.0.1:1"]);
    let url = &*collector.url();
    let before = run(&["check", "--pre", NO_CLUSTER]);
    assert_eq!(before.status, Some(1));
    assert!(
        before.stdout.starts_with("fail  kubernetes: "),
        "{}",
        before.stdout
    );
    assert!(
        before
            .stdout
            .contains("\n      name a cluster by --kubeconfig"),
        "{}",
        before.stdout
    );
    assert_eq!(before.stderr, "error: 1 of 1 checks failed\n");

    let after = run(&["check", NO_CLUSTER, "-o", "json", url]);
    assert_eq!(after.status, Some(1));
    let findings: Value = serde_json::from_str(&after.stdout).expect("JSON");
    assert_eq!(finding(&findings, "versions")["state"], "ok");
    assert_eq!(finding(&findings, "filters")["state"], "ok");
    assert_eq!(finding(&findings, "collector: store")["state"], "ok");
    let prometheus = finding(&findings, "collector: prometheus");
    assert_eq!(prometheus["state"], "warn");
    assert_eq!(prometheus["hint"], "see the collector's log");
}

#[test]
fn check_sees_whether_a_registry_has_the_filter() {
    let none = [
        "check",
        "--pre",
        NO_CLUSTER,
        "-o",
        "json",
        "--image",
        "oci-layout:/nowhere:1",
    ];
    let findings: Value = serde_json::from_str(&run(&none).stdout).expect("JSON");
    let registry = finding(&findings, "registry");
    assert_eq!(registry["state"], "warn");
    let detail = registry["detail"].as_str().expect("text");
    assert!(detail.starts_with("expected the filter, got "), "{detail}");
}

#[test]
fn bug_report() {
    let mesh = Mesh::new();
    let token = mesh.path("token");
    fs::write(&token, "correct-horse-battery").expect("a file");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).expect("permitted");
    let file = format!("--admin-token-file={}", token.display());
    let collector = Process::start(&mesh, &[&file]);
    let token_file = format!("--token-file={}", token.display());
    let report = run(&["bug-report", NO_CLUSTER, &token_file, &collector.url()]).ok();
    for part in [
        "client: ",
        "status:",
        "plan:",
        "always_visible:",
        "lazymesh_workloads ",
        "shop",
    ] {
        assert!(report.contains(part), "{part} in\n{report}");
    }
    assert!(!report.contains("correct-horse-battery"), "{report}");
    // What cannot be had is told, and costs nothing else.
    let absent = run(&[
        "bug-report",
        NO_CLUSTER,
        "-o",
        "json",
        "--url=http://127.0.0.1:1",
    ])
    .json();
    assert!(absent["plan"]["error"].is_string(), "{absent}");
}

#[test]
fn lists_are_of_one_namespace_or_of_all() {
    let mesh = Mesh::new();
    let collector = Process::start(&mesh, &[]);
    collector.resolve("reviews");
    let url = &*collector.url();
    let count = |args: &[&str]| {
        let list = run(&[args, &["-o", "json", url]].concat()).json();
        list.as_array().map_or(0, Vec::len)
    };
    assert_eq!(count(&["workloads", "-n", "shop"]), 2);
    assert_eq!(count(&["workloads", "-A"]), 3);
    assert_eq!(count(&["workloads", "-n", "none"]), 0);
    let graph = |namespace: &str| run(&["graph", "-o", "json", "-n", namespace, url]).json();
    assert_eq!(
        graph("shop")["dependencies"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(graph("free")["dependencies"], json!([]));
    let both: Run = command()
        .args(["workloads", "-A", "-n", "shop"])
        .output()
        .expect("it runs")
        .into();
    assert_eq!(both.status, Some(2));
}
