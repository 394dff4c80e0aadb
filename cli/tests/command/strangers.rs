//! Readers that go away, files without end, and passwords in addresses.

use std::process::Stdio;

use crate::lazymesh::{command, run};

const MANIFESTS: [&str; 5] = [
    "manifests",
    "--istio",
    "1.30",
    "--image",
    "oci://registry.example/filter",
];

#[test]
fn a_reader_that_is_gone_is_no_error() {
    let check = |args: &[&str], expect: i32| {
        let mut child = command()
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        drop((child.stdout.take(), child.stderr.take()));
        let status = child.wait().expect("an end");
        assert_eq!(status.code(), Some(expect), "{args:?}");
    };
    check(&MANIFESTS, 0);
    check(&[&MANIFESTS[..], &["-o", "json"]].concat(), 0);
    check(&["completions", "bash"], 0);
    check(&["--help"], 0);
    check(&["inspect", "oci-layout:nowhere"], 1);
}

#[test]
fn a_file_without_end_is_refused() {
    let check = |args: &[&str], flag: &str| {
        let error = run(args).error();
        assert!(error.contains("expected at most"), "{args:?}: {error}");
        assert!(error.contains(flag), "{args:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    };
    let layout = "oci-layout:nowhere:1";
    check(&["push", layout, "--file", "/dev/zero"], "--file /dev/zero");
    check(&["verify", layout, "--key", "/dev/zero"], "--key /dev/zero");
    check(
        &["sign", layout, "--sign-key", "/dev/zero"],
        "--sign-key /dev/zero",
    );
    check(
        &["inspect", "example.com/a", "--ca-file", "/dev/zero"],
        "--ca-file /dev/zero",
    );
    check(
        &["graph", "--token-file", "/dev/zero"],
        "--token-file /dev/zero",
    );
}

#[test]
fn a_password_in_an_address_is_in_no_message() {
    let check = |args: &[&str]| {
        let ran = run(args);
        assert_ne!(ran.status, Some(0), "{args:?}");
        assert!(!ran.stderr.contains("hush"), "{args:?}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("example.com") || ran.stderr.contains("127.0.0.1"),
            "{args:?}: {}",
            ran.stderr
        );
    };
    check(&["inspect", "https://robot:hush@example.com/filter"]);
    check(&["inspect", "oci://robot:hush@example.com/filter:1"]);
    check(&["push", "robot:hush@example.com/FILTER:1"]);
    check(&["graph", "--url", "https://robot:hush@example.com"]);
    check(&["graph", "--url", "http://robot:hush@example.com:port"]);
    check(&["graph", "--url", "http://robot:hush@127.0.0.1:1"]);
    let help = command()
        .args(["graph", "--help"])
        .env("LAZYMESH_URL", "http://robot:hush@example.com")
        .output()
        .expect("the binary runs");
    assert!(!String::from_utf8_lossy(&help.stdout).contains("hush"));
}
