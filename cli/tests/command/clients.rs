use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::json;

use crate::collector::{Process, wait_for};
use crate::lazymesh::{Run, command, run};
use crate::mesh::Mesh;

/// A collector that has learned one host in the mesh and one outside.
pub(crate) fn taught() -> (Mesh, Process) {
    let mesh = Mesh::new();
    let collector = Process::start(&mesh, &[]);
    collector.resolve("reviews");
    collector.resolve("api.example.com:8443");
    (mesh, collector)
}

/// Cells of a table, row by row.
pub(crate) fn rows(table: &str) -> Vec<Vec<&str>> {
    let cells = |line| {
        str::split(line, "  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .collect()
    };
    table.lines().map(cells).collect()
}

#[test]
fn workloads() {
    let (_mesh, collector) = taught();
    let url = &*collector.url();
    let table = run(&["workloads", url]).ok();
    assert_eq!(
        rows(&table),
        [
            vec!["WORKLOAD", "MODE", "DEPENDENCIES"],
            vec!["free/job", "learn", "0"],
            vec!["shop/custom", "enforce", "0"],
            vec!["shop/web", "enforce", "1"],
        ]
    );
    let json = run(&["workloads", "-o", "json", url]).json();
    assert_eq!(
        json[2],
        json!({"namespace": "shop", "name": "web", "mode": "enforce", "dependencies": 1})
    );
    assert_eq!(run(&["workloads", "-o", "yaml", url]).yaml(), json);
}

#[test]
fn one_workload() {
    let (_mesh, collector) = taught();
    let url = &*collector.url();
    let shown = run(&["workloads", "shop/web", url]).ok();
    for line in [
        "Workload:          shop/web",
        "Sidecar:           lazymesh-web (managed)",
        "Service accounts:  web-account",
        "External hosts:    1",
        "HOST                                 COUNT  LAST SEEN  SEEN BY",
    ] {
        assert!(
            shown.lines().any(|found| found == line),
            "{line} in\n{shown}"
        );
    }
    let json = run(&["workloads", "shop/web", "-o", "json", url]).json();
    assert_eq!(
        json["dependencies"][0]["host"],
        "shop/reviews.shop.svc.cluster.local"
    );
    assert_eq!(
        run(&["workloads", "shop/web", "-o", "yaml", url]).yaml(),
        json
    );
}

#[test]
fn always_visible() {
    let (_mesh, collector) = taught();
    let url = &*collector.url();
    let table = run(&["always-visible", url]).ok();
    let rows = rows(&table);
    assert_eq!(rows[0], ["HOST", "STAYS BECAUSE"]);
    let own = "lazymesh-system/lazymesh-collector.lazymesh-system.svc.cluster.local";
    assert_eq!(rows[1][0], own);
    assert!(rows[1][1].starts_with("every sidecar needs it"));
    let json = run(&["always-visible", "-o", "json", url]).json();
    assert_eq!(json[0]["reason"], "listed");
    assert_eq!(run(&["always-visible", "-o", "yaml", url]).yaml(), json);
}

#[test]
fn what_the_collector_cannot_use_is_told() {
    let (mesh, collector) = taught();
    let url = &*collector.url();
    fs::write(mesh.path("manifests/broken.yaml"), "kind: [\n").expect("a file");
    let told = || {
        let output = command()
            .args(["workloads", url])
            .output()
            .expect("it runs");
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let told = wait_for("a warning", || Some(told()).filter(|it| !it.is_empty()));
    assert!(
        told.starts_with("warning: the collector is not ready: "),
        "{told}"
    );
    assert!(told.contains("broken.yaml:"), "{told}");
}

#[test]
fn forget() {
    let (_mesh, collector) = taught();
    let url = &*collector.url();
    let told = run(&["forget", "shop/web", url]).ok();
    assert_eq!(told, "Nothing is known of shop/web any more.\n");
    let json = run(&["workloads", "shop/web", "-o", "json", url]).json();
    assert_eq!(json["dependencies"], json!([]));
    let again = run(&["forget", "shop/web", url]).error();
    assert!(again.contains("nothing was learned"), "{again}");
}

#[test]
fn resume() {
    let (_mesh, collector) = taught();
    let told = run(&["resume", "shop", &collector.url()]).error();
    assert!(told.contains("no canary has failed"), "{told}");
}

#[test]
fn plan() {
    let (_mesh, collector) = taught();
    let url = &*collector.url();
    let table = run(&["plan", "shop", url]).ok();
    assert_eq!(run(&["plan", "-n", "shop", url]).ok(), table);
    let rows = rows(&table);
    let headers = ["WORKLOAD", "MODE", "SERVICES", "CLUSTERS", "ENDPOINTS"];
    assert_eq!(rows[0][..5], headers);
    assert!(rows.iter().skip(1).all(|row| row[0].starts_with("shop/")));
    let json = run(&["plan", "shop/web", "-o", "json", url]).json();
    assert_eq!(json["dependencies"], 1);
    assert_eq!(json["confidence"]["gaps"][0]["gap"], "week");
    let shown = run(&["plan", "shop/web", url]).ok();
    for line in [
        "Evidence:        1 requests, the first",
        "Confidence:      20 %, watched for 0 days",
        "Unseen:          it was watched for less than a week",
    ] {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
    let unknown = run(&["plan", "shop/none", url]).error();
    assert!(
        unknown.contains("no pod has that canonical name"),
        "{unknown}"
    );
}

#[test]
fn a_plan_says_what_would_change() {
    let (_mesh, collector) = taught();
    let url = &*collector.url();
    let web = run(&["plan", "shop/web", "-o", "diff", url]).ok();
    assert!(
        web.starts_with("--- shop/web now\n+++ shop/web enforced\n "),
        "{web}"
    );
    let job = run(&["plan", "free", "-o", "diff", url]).ok();
    let own = "+lazymesh-system/lazymesh-collector.lazymesh-system.svc.cluster.local";
    assert!(job.contains("\n-*/*\n") && job.contains(own), "{job}");
}

#[test]
fn a_plan_fails_below_a_confidence() {
    let (_mesh, collector) = taught();
    let url = &*collector.url();
    let check = |flags: &[&str], status: i32, told: &str| {
        let run = run(&[&["plan", url], flags].concat());
        assert_eq!(run.status, Some(status), "{flags:?}: {}", run.stderr);
        assert!(run.stderr.contains(told), "{flags:?}: {}", run.stderr);
    };
    check(&["shop/web", "--fail-below", "20"], 0, "");
    check(
        &["shop/web", "--fail-below", "21"],
        1,
        "got less for shop/web",
    );
    check(&["free", "--fail-below", "1"], 1, "got less for free/job");
    check(&["--fail-below", "101"], 2, "101");
    // Nothing is labelled that is not known well enough, or that was not named.
    let nowhere = "--kubeconfig=/nowhere";
    check(
        &["free", "--fail-below", "1", "--apply", nowhere],
        1,
        "got less for free/job",
    );
    check(&["shop/web", "--apply", nowhere], 1, "expected a namespace");
    check(&["shop", "--apply", nowhere], 1, "cannot reach Kubernetes");
}

#[test]
fn explain() {
    let (_mesh, collector) = taught();
    let url = &*collector.url();
    let check = |args: &[&str], lines: &[&str]| {
        let shown = run(&[&["explain"], args, &[url]].concat()).ok();
        for line in lines {
            assert!(
                shown.lines().any(|it| it.starts_with(line)),
                "{line} in\n{shown}"
            );
        }
    };
    check(
        &["shop/web", "reviews"],
        &[
            "Call:           http reviews 10.96.0.10:80",
            "In scope:       yes",
            "Because:        shop/reviews.shop.svc.cluster.local: the workload was seen to call it",
            "Seen:           ",
        ],
    );
    check(
        &["free/job", "nothing.example", "--protocol", "tls"],
        &[
            "In scope:       no",
            "First request:  passthrough: nothing of the mesh is meant",
            "Cluster:        PassthroughCluster (1)",
            "Learns:         nothing.example",
        ],
    );
    let json = run(&["explain", "shop/web", "reviews", "-o", "json", url]).json();
    assert_eq!(json["in_scope"], true);
    let yaml = run(&["explain", "shop/web", "reviews", "-o", "yaml", url]).yaml();
    assert_eq!(yaml, json);
    let unknown = run(&["explain", "shop/none", "reviews", url]).error();
    assert!(
        unknown.contains("no pod has that canonical name"),
        "{unknown}"
    );
}

#[test]
fn events() {
    let (_mesh, collector) = taught();
    let url = &*collector.url();
    let table = run(&["events", url]).ok();
    let rows = rows(&table);
    assert_eq!(rows[0], ["AGE", "EVENT", "WHOSE", "HOST", "DETAIL"]);
    let host = "shop/reviews.shop.svc.cluster.local";
    assert_eq!(rows[1][1..], ["learned", "shop/web", host, "by filter"]);
    let external = [
        "learned-external",
        "shop/web",
        "api.example.com:8443",
        "by filter",
    ];
    assert_eq!(rows[2][1..], external);
    let all = ["events", "-o", "name", "-A", url];
    assert_eq!(
        run(&["events", "-o", "name", "-n", "shop", url]).ok(),
        run(&all).ok()
    );
    assert_eq!(run(&["events", "-o", "name", "-n", "free", url]).ok(), "\n");
    let json = run(&["events", "-o", "json", url]).json();
    assert_eq!(json[0]["witness"], "filter");
    assert_eq!(run(&["events", "-o", "yaml", url]).yaml(), json);
}

#[test]
fn events_are_followed() {
    let (_mesh, collector) = taught();
    let url = &*collector.url();
    let watch = command()
        .args(["events", "--watch", url])
        .stdout(Stdio::piped())
        .spawn();
    let mut watch = watch.expect("the binary runs");
    let mut lines = BufReader::new(watch.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    assert!(next().contains("reviews.shop"));
    assert!(next().contains("api.example.com:8443"));
    collector.resolve("later.example");
    assert!(next().ends_with("learned-external  shop/web  later.example  by filter"));
    watch.kill().expect("it runs");
    watch.wait().expect("an end");
}

#[test]
fn graph() {
    let (_mesh, collector) = taught();
    let url = &*collector.url();
    let table = run(&["graph", url]).ok();
    let rows = rows(&table);
    assert_eq!(rows[0], ["WORKLOAD", "HOST", "KIND", "COUNT", "LAST SEEN"]);
    assert_eq!(
        rows[1][..4],
        [
            "shop/web",
            "shop/reviews.shop.svc.cluster.local",
            "mesh",
            "1"
        ]
    );
    assert_eq!(
        rows[2][..4],
        ["shop/web", "api.example.com:8443", "external", "1"]
    );

    let json = run(&["graph", "-o", "json", url]).json();
    assert_eq!(json["dependencies"].as_array().map(Vec::len), Some(1));
    assert_eq!(run(&["graph", "--format", "json", url]).json(), json);
    assert!(
        run(&["graph", "--format", "dot", url])
            .ok()
            .starts_with("digraph")
    );
    assert!(
        run(&["graph", "--format", "mermaid", url])
            .ok()
            .starts_with("flowchart")
    );
}

#[test]
fn sidecar() {
    let (_mesh, collector) = taught();
    let url = &*collector.url();
    let sidecar = run(&["sidecar", "shop/web", url]).yaml();
    assert_eq!(sidecar["metadata"]["name"], "lazymesh-web");
    assert_eq!(run(&["sidecar", "shop/lazymesh-web", url]).yaml(), sidecar);
    assert_eq!(
        run(&["sidecar", "shop/web", "-o", "json", url]).json(),
        sidecar
    );
    let default = run(&["sidecar", "shop/lazymesh-default", url]).yaml();
    assert_eq!(default["metadata"]["name"], "lazymesh-default");

    for (name, reason) in [
        (
            "shop/custom",
            "by-hand rules here, and lazymesh does not own it",
        ),
        ("free/job", "lazymesh.io/mode=enforce"),
        ("shop/none", "no pod has that canonical name"),
        ("shop/lazymesh-none", "publishes no such Sidecar"),
    ] {
        let error = run(&["sidecar", name, url]).error();
        assert!(error.contains(reason), "{name}: {error}");
    }
}

#[test]
fn an_empty_graph_is_said_to_be_empty() {
    let mesh = Mesh::new();
    let collector = Process::start(&mesh, &[]);
    assert_eq!(
        run(&["graph", &collector.url()]).ok(),
        "Nothing has been learned yet.\n"
    );
}

#[test]
fn the_url_may_come_from_the_environment() {
    let (_mesh, collector) = taught();
    let url = format!("http://{}/", collector.addresses.admin);
    let output = command().arg("graph").env("LAZYMESH_URL", url).output();
    assert!(Run::from(output.expect("it runs")).ok().contains("reviews"));
}

#[test]
fn a_token_is_sent_and_asked_for() {
    let mesh = Mesh::new();
    let token = mesh.path("token");
    fs::write(&token, "correct-horse-battery\n").expect("a file");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).expect("permitted");
    let file = token.display().to_string();
    let collector = Process::start(&mesh, &["--admin-token-file", &file]);
    let url = &*collector.url();
    assert!(run(&["graph", url]).error().contains("--token-file"));
    run(&["graph", url, "--token-file", &file]).ok();
    assert!(
        run(&["graph", url, "--token-file", "/nowhere"])
            .error()
            .contains("/nowhere")
    );
}

#[test]
fn a_collector_that_is_not_there_is_explained() {
    let collector = Process::start(&Mesh::new(), &[]);
    let ingest = format!("--url=http://{}", collector.addresses.ingest);
    for (url, reason) in [
        ("--url=http://127.0.0.1:1", "is it running"),
        ("--url=https://127.0.0.1:8481", "speaks no TLS"),
        (&*ingest, "no such path"),
    ] {
        for args in [
            &["graph"][..],
            &["workloads"],
            &["workloads", "shop/web"],
            &["plan"],
            &["sidecar", "shop/web"],
        ] {
            let error = run(&[args, &[url]].concat()).error();
            assert!(error.contains(reason), "{url} {args:?}: {error}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (_mesh, collector) = taught();
    let mut child = command()
        .args(["graph", &collector.url()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    assert!(child.wait().expect("an end").success());
    let mut complaint = String::new();
    child
        .stderr
        .expect("a pipe")
        .read_to_string(&mut complaint)
        .expect("text");
    assert_eq!(complaint, "");
}
