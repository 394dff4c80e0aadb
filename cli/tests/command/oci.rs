//! Artifacts, in a directory that stands for a registry.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::lazymesh::{Run, command, run};

const MODULE: &[u8] = b"\0asm\x01\0\0\0";

fn fixture(name: &str) -> String {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../oci/tests/fixtures");
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

    fn run(&self, args: &[&str]) -> Run {
        let output = self.command(args).output();
        output.expect("the binary runs").into()
    }

    /// Runs in the directory, where `filter.wasm` is.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = command();
        command
            .current_dir(self.dir.path())
            .env("DOCKER_CONFIG", self.dir.path());
        command
            .env_remove("SOURCE_DATE_EPOCH")
            .env("COSIGN_PASSWORD", "lazymesh");
        command.args(args);
        command
    }

    /// What of the layout is text.
    fn texts(&self) -> Vec<String> {
        let blobs = fs::read_dir(self.path("layout/blobs/sha256")).expect("a layout");
        let read = |blob: std::io::Result<fs::DirEntry>| fs::read_to_string(blob.ok()?.path()).ok();
        blobs.filter_map(read).collect()
    }

    /// The provenance that was attached, found by its content.
    fn provenance(&self) -> String {
        let is_statement = |text: &String| text.contains("in-toto.io/Statement");
        let found = self.texts().into_iter().find(is_statement);
        found.expect("a statement")
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
            .contains("not a proxy-wasm module")
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
    // Which is what the environment may say too, and nothing else makes a date.
    let place = Place::new();
    place.push(&["--created", "0"]);
    let mut again = place.command(&["push", &place.layout("1"), "-o", "json"]);
    let again = again.env("SOURCE_DATE_EPOCH", "0").output();
    assert_eq!(
        Run::from(again.expect("the binary runs")).json()["uploads"],
        0
    );
    let seen = place.run(&["inspect", &place.layout("1"), "-o", "json"]);
    assert_eq!(
        seen.json()["manifest"]["annotations"]["org.opencontainers.image.created"],
        "1970-01-01T00:00:00Z"
    );
}

const REVISION: &str = "8e758fd7a639e759e3c65d75e912778bf8f860d2";

/// SHA-256 of the module.
const HASH: &str = "93a44bbb96c751218e4c00d479e4c14358122a389acca16205b1e4d0dc5f9476";

fn bill(hash: &str) -> String {
    let hashes = format!(r#"[{{"alg":"SHA-256","content":"{hash}"}}]"#);
    format!(
        r#"{{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{{"component":{{"name":"filter","hashes":{hashes}}}}}}}"#
    )
}

#[test]
fn what_lies_beside_the_module_is_attached() {
    let place = Place::new();
    fs::write(place.path("filter.cdx.json"), bill(HASH)).expect("written");
    let source = ["--source", "https://example.com/lazymesh"];
    let pushed = place.push(&[source, ["--revision", REVISION]].concat());
    let attached = pushed["attached"].as_array().expect("a list");
    let kinds: Vec<_> = attached.iter().map(|one| &one["mediaType"]).collect();
    assert_eq!(
        kinds,
        [
            "application/vnd.cyclonedx+json",
            "application/vnd.in-toto+json"
        ]
    );
    let from = place.layout("1");
    let wanted = ["verify", &from, "--sbom", "--provenance"];
    let verified = place.run(&[&wanted[..], &["-o", "json"]].concat()).json();
    assert_eq!(verified["sboms"][0]["digest"], attached[0]["digest"]);
    assert_eq!(verified["signed"], false);
    let shown = place.run(&wanted).ok();
    assert!(shown.contains("(signature not checked)"), "{shown}");

    // The provenance, now as a file of its own, tells source and revision by itself: the same artifact comes out.
    let blob = place.run(&["inspect", &from, "-o", "json"]).json();
    let annotations = &blob["manifest"]["annotations"];
    assert_eq!(annotations["org.opencontainers.image.revision"], REVISION);
    fs::write(place.path("filter.provenance.json"), place.provenance()).expect("written");
    let again = place.push(&[]);
    assert_eq!(again["digest"], pushed["digest"]);
    assert_eq!(again["uploads"], 0);
}

#[test]
fn what_a_push_did_is_shown() {
    let place = Place::new();
    let (target, key) = (place.layout("1"), fixture("cosign.key"));
    let digest = place.push(&[])["digest"].as_str().expect("one").to_owned();
    assert_eq!(
        place.run(&["push", &target, "--sign-key", &key]).ok(),
        format!(
            "reference: {target}\ndigest: {digest}\nattached: nothing; cargo xtask build-filter leaves a bill of materials \
             and provenance beside the module\nsigned: yes\n"
        )
    );
    fs::write(place.path("filter.cdx.json"), bill(HASH)).expect("written");
    let pushed = place.push(&[]);
    let bill = pushed["attached"][0]["digest"].as_str().expect("one");
    assert_eq!(
        place.run(&["push", &target, "--sign-key", &key]).ok(),
        format!(
            "reference: {target}\ndigest: {digest}\nattached: application/vnd.cyclonedx+json {bill}\n\
             signed: yes, with its documents\n"
        )
    );
}

#[test]
fn documents_about_another_module_are_not_pushed() {
    let place = Place::new();
    fs::write(place.path("filter.cdx.json"), bill(&"0".repeat(64))).expect("written");
    let error = place.run(&["push", &place.layout("1")]).error();
    assert!(
        error.contains("filter.cdx.json") && error.contains("not about sha256:"),
        "{error}"
    );
    assert!(!place.path("layout").exists());
}

#[test]
fn signatures() {
    let place = Place::new();
    let (private, public) = (fixture("cosign.key"), fixture("cosign.pub"));
    let from = place.layout("1");
    let verify = ["verify", &from, "--key", &public];
    fs::write(place.path("filter.cdx.json"), bill(HASH)).expect("written");
    place.push(&[]);
    assert!(place.run(&verify).error().contains("has no signature"));
    assert_eq!(place.push(&["--sign-key", &private])["signed"], true);
    assert!(place.run(&verify).ok().contains("signature: valid"));
    // Where it lies is in nothing that others get to see.
    assert!(!place.texts().iter().any(|text| text.contains("layout:")));
    let copy = format!("oci-layout:{}:2", place.path("mirror").display());
    place.run(&["copy", &from, &copy]).ok();
    let verified = place
        .run(&["verify", &copy, "--key", &public, "--sbom"])
        .ok();
    assert!(verified.contains("(signed)"), "{verified}");
}

/// Imports `env.log`, has a memory of one page and two at most, and tells its version of the ABI.
const PROXY_WASM: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x0b\x01\x03env\x03log\0\0\
    \x03\x02\x01\0\x05\x04\x01\x01\x01\x02\x07\x1b\x01\x17proxy_abi_version_0_2_1\0\x01\
    \x0a\x04\x01\x02\0\x0b";

#[test]
fn what_the_module_needs_is_shown() {
    let place = Place::new();
    fs::write(place.path("filter.wasm"), PROXY_WASM).expect("written");
    let bill = [
        "--source",
        "https://example.com/lazymesh",
        "--revision",
        REVISION,
    ];
    place.push(&bill);
    let shown = place.run(&["inspect", &place.layout("1")]).ok();
    for part in [
        "application/vnd.lazymesh.filter.v1",
        "ABI:        0.2.1",
        "Memory:     64 KiB, at most 128 KiB",
        "org.opencontainers.image.source: https://example.com/lazymesh",
        "application/vnd.module.wasm.content.layer.v1+wasm",
        "REFERRER",
        "application/vnd.in-toto+json",
        "IMPORTS (1)\nenv.log\n",
        "EXPORTS (1)\nproxy_abi_version_0_2_1\n",
    ] {
        assert!(shown.contains(part), "{part}:\n{shown}");
    }
}

/// The bar is drawn with these.
const BAR: [char; 2] = ['█', '░'];

#[test]
fn a_terminal_gets_a_progress_bar_and_a_pipe_none() {
    let place = Place::new();
    let lazymesh = command().get_program().to_string_lossy().into_owned();
    for arguments in [
        format!("push {}", place.layout("1")),
        format!("pull {} --file pulled.wasm", place.layout("1")),
    ] {
        let words: Vec<_> = arguments.split(' ').collect();
        // `ok` insists on an empty standard error.
        assert!(!place.run(&words).ok().contains(BAR));
        // A terminal, by a program that every Debian has.
        let mut script = Command::new("script");
        script.args([
            "--quiet",
            "--return",
            "--command",
            &format!("{lazymesh} {arguments}"),
            "/dev/null",
        ]);
        script.current_dir(place.dir.path()).env("TERM", "xterm");
        let output = script.output().expect("script runs");
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && shown.contains(BAR), "{shown}");
    }
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
        (
            &["push", &to, "--source", "x", "--revision", "main"],
            "full commit hash",
        ),
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
    for command in ["push", "pull", "inspect", "sign", "verify", "copy"] {
        let help = run(&[command, "--help"]).ok();
        assert!(
            help.contains("--password-stdin") && !help.contains("--password "),
            "{help}"
        );
    }
    let run = Place::new().run(&["pull", "localhost:1/x", "--password-stdin"]);
    assert!(run.stderr.contains("--username"), "{}", run.stderr);
    let login = ["--username", "robot", "--password-stdin"];
    let copy = ["copy", "localhost:1/x", "localhost:2/x"];
    let error = Place::new().run(&[copy, login].concat()).error();
    assert!(error.contains("both registries"), "{error}");
}
