//! Artifacts, in a directory that stands for a registry.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::lazymesh::{Run, command, run};

const MODULE: &[u8] = b"\0asm\x01\0\0\0";

fn fixture(name: &str) -> String {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../oci/tests/suite/fixtures");
    fixtures.join(name).display().to_string()
}

/// A directory with a module in it and a layout beside.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("filter.wasm"), MODULE).expect("written");
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn layout(&self, tag: &str) -> String {
        format!("oci-layout:{}:{tag}", self.path("layout").display())
    }

    /// Runs in the directory, where `filter.wasm` is.
    fn run(&self, args: &[&str]) -> Run {
        let mut command = command();
        command
            .current_dir(self.dir.path())
            .env("DOCKER_CONFIG", self.dir.path());
        command
            .env_remove("SOURCE_DATE_EPOCH")
            .env("COSIGN_PASSWORD", "lazymesh");
        command.args(args).output().expect("the binary runs").into()
    }

    fn push(&self, more: &[&str]) -> Value {
        let target = self.layout("1");
        self.run(&[&["push", &target, "-o", "json"], more].concat())
            .json()
    }
}

#[test]
fn there_and_back() {
    let place = Place::new();
    let pushed = place.push(&[]);
    assert_eq!(place.push(&[])["uploads"], 0);
    let from = place.layout("1");
    let shown = place.run(&["pull", &from, "--file", "pulled.wasm"]).ok();
    assert!(
        shown.contains(pushed["digest"].as_str().expect("a digest")),
        "{shown}"
    );
    assert_eq!(fs::read(place.path("pulled.wasm")).expect("there"), MODULE);
    let seen = place.run(&["inspect", &from, "-o", "json"]).json();
    assert_eq!(seen["digest"], pushed["digest"]);
    assert_eq!(seen["module"]["size"], MODULE.len());
    assert!(
        place
            .run(&["inspect", &from])
            .ok()
            .contains("no proxy-wasm module")
    );
}

#[test]
fn the_same_bytes_in_any_folder() {
    let digest = |more: &[&str]| Place::new().push(more)["digest"].clone();
    assert_eq!(digest(&[]), digest(&[]));
    assert_eq!(
        digest(&["--variant", "compat"]),
        digest(&["--variant", "compat"])
    );
    assert_ne!(digest(&[]), digest(&["--created", "0"]));
}

#[test]
fn what_lies_beside_the_module_is_attached() {
    let place = Place::new();
    fs::write(
        place.path("filter.cdx.json"),
        r#"{"bomFormat":"CycloneDX"}"#,
    )
    .expect("written");
    let source = ["--source", "https://example.com/lazymesh"];
    let revision = ["--revision", "8e758fd7a639e759e3c65d75e912778bf8f860d2"];
    let pushed = place.push(&[source, revision].concat());
    let attached = [
        "application/vnd.cyclonedx+json",
        "application/vnd.in-toto+json",
    ];
    assert_eq!(pushed["attached"], serde_json::json!(attached));
    let verified = place
        .run(&["verify", &place.layout("1"), "--sbom", "-o", "json"])
        .json();
    assert_eq!(
        (&verified["provenance"], &verified["signed"]),
        (&true.into(), &false.into())
    );
}

#[test]
fn signatures() {
    let place = Place::new();
    let (private, public) = (fixture("cosign.key"), fixture("cosign.pub"));
    let from = place.layout("1");
    let verify = ["verify", &from, "--key", &public];
    place.push(&[]);
    assert!(place.run(&verify).error().contains("has no signature"));
    assert_eq!(place.push(&["--sign-key", &private])["signed"], true);
    assert!(place.run(&verify).ok().contains("signature: valid"));
    let copy = format!("oci-layout:{}:2", place.path("mirror").display());
    place.run(&["copy", &from, &copy]).ok();
    place.run(&["verify", &copy, "--key", &public]).ok();
}

#[test]
fn failures_are_told() {
    let place = Place::new();
    fs::write(place.path("script"), "#!/bin/sh").expect("written");
    fs::write(place.path("note.json"), "{}").expect("written");
    let (to, none) = (place.layout("1"), place.layout("none"));
    let digest = format!("{to}@sha256:{}", "0".repeat(64));
    for (args, reason) in [
        (
            &["push", &to, "--file", "script"][..],
            "not a WebAssembly module",
        ),
        (&["push", &to, "--file", "missing"], "No such file"),
        (&["push", &to, "--sbom", "note.json"], "neither CycloneDX"),
        (&["push", &to, "--sign-key", "script"], "private key"),
        (&["push", &to, "--created", "now"], "number of seconds"),
        (&["pull", &none], "not found"),
        (&["inspect", &digest], "not found"),
    ] {
        let error = place.run(args).error();
        assert!(error.contains(reason), "{args:?}: {error}");
    }
    assert!(
        !place.path("layout").exists(),
        "a push that failed wrote something"
    );
}

#[test]
fn secrets_have_no_place_on_the_command_line() {
    for command in ["push", "pull", "inspect", "verify", "copy"] {
        let help = run(&[command, "--help"]).ok();
        assert!(!help.contains("--password "), "{help}");
    }
    let run = Place::new().run(&["pull", "localhost:1/x", "--password-stdin"]);
    assert!(run.stderr.contains("--username"), "{}", run.stderr);
}
