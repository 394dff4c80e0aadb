//! Credentials where docker and oras keep them, used by the command against registries that insist on them.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::command::{Place, executable, outcome};
use crate::launcher::DockerRegistry;
use crate::support::module;

const SECRETS: [&str; 3] = ["correct horse", "wrong horse", "refresh me"];
/// How each token of the token server starts: JSON in base64.
const TOKEN: &str = "eyJ";

/// What came of a command, in which nothing may be of a secret, in none of the forms in which it travels.
#[track_caller]
fn discreet(output: &Output) -> Result<String, String> {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said);
    for secret in SECRETS {
        let pair = STANDARD.encode(format!("robot:{secret}"));
        for form in [secret, &secret.replace(' ', "+"), &pair, TOKEN] {
            assert!(!said.contains(form), "{form} in {said}");
        }
    }
    outcome(output)
}

/// A credential helper that knows one server, as docker's protocol wants it: asked on standard input, for `get`.
fn helper(server: SocketAddr, user: &str, secret: &str) -> String {
    format!(
        "#!/bin/sh\n[ \"$1\" = get ] || exit 2\n\
         if [ \"$(cat)\" != {server} ]; then echo credentials not found in native keychain; exit 1; fi\n\
         echo '{{\"ServerURL\":\"{server}\",\"Username\":\"{user}\",\"Secret\":\"{secret}\"}}'\n"
    )
}

/// Pushes with this `config.json` and this helper `docker-credential-test`.
fn push(registry: &DockerRegistry, config: &str, helper: &str) -> Result<String, String> {
    let place = Place::new(&module(100));
    place.write(
        "config.json",
        &config.replace("SERVER", &registry.address.to_string()),
    );
    executable(&place.write("docker-credential-test", helper));
    let target = format!("{}/lazymesh/filter:1", registry.address);
    let mut command = place.command(&["push", &target, "--insecure"]);
    let output = command.env("RUST_LOG", "trace").output();
    discreet(&output.expect("the binary runs"))
}

fn auths(user: &str, password: &str) -> String {
    let auth = STANDARD.encode(format!("{user}:{password}"));
    format!(r#"{{"auths":{{"SERVER":{{"auth":"{auth}"}}}}}}"#)
}

const FOR_ONE: &str = r#"{"credHelpers":{"SERVER":"test"}}"#;
const FOR_OTHERS: &str = r#"{"credHelpers":{"example.com":"test"}}"#;
const FOR_ALL: &str = r#"{"credsStore":"test","auths":{"SERVER":{}}}"#;
const NO_HELPER: &str = "#!/bin/sh\nexit 3\n";

#[tokio::test]
async fn passwords() {
    let registry = DockerRegistry::with_passwords().await;
    let right = helper(registry.address, "robot", "correct horse");
    let wrong = helper(registry.address, "robot", "wrong horse");
    let stranger = helper(([127, 0, 0, 1], 1).into(), "robot", "correct horse");
    let loud = "#!/bin/sh\necho correct horse; echo correct horse >&2; exit 1\n";
    for (config, helper, expect) in [
        (&auths("robot", "correct horse")[..], NO_HELPER, Ok(())),
        (FOR_ONE, &right, Ok(())),
        (FOR_ALL, &right, Ok(())),
        (
            &auths("robot", "wrong horse"),
            NO_HELPER,
            Err("as user \"robot\""),
        ),
        (FOR_ONE, &wrong, Err("as user \"robot\"")),
        (FOR_ONE, &stranger, Err("none were given")),
        (FOR_OTHERS, &right, Err("none were given")),
        ("{}", &right, Err("none were given")),
        (FOR_ONE, loud, Err("credential helper")),
        (
            r#"{"credsStore":"missing"}"#,
            &right,
            Err("is `docker-credential-…` on PATH?"),
        ),
    ] {
        check(config, push(&registry, config, helper), expect);
    }
}

// The token server answers while the test waits for the command.
#[tokio::test(flavor = "multi_thread")]
async fn identity_tokens() {
    let registry = DockerRegistry::with_tokens().await;
    let right = helper(registry.address, "<token>", "refresh me");
    let wrong = helper(registry.address, "<token>", "wrong horse");
    let kept = r#"{"auths":{"SERVER":{"identitytoken":"refresh me"}}}"#;
    for (config, helper, expect) in [
        (FOR_ONE, &right[..], Ok(())),
        (FOR_ALL, &right, Ok(())),
        (kept, NO_HELPER, Ok(())),
        (FOR_ONE, &wrong, Err("with an identity token")),
    ] {
        check(config, push(&registry, config, helper), expect);
    }
}

#[track_caller]
fn check(config: &str, outcome: Result<String, String>, expect: Result<(), &str>) {
    match (outcome, expect) {
        (Ok(_), Ok(())) => {}
        (Err(error), Err(part)) => assert!(error.contains(part), "{config}: {error}"),
        (outcome, _) => panic!("{config}: {outcome:?}"),
    }
}

/// Runs a command as `robot`, with this on its standard input.
fn as_robot(place: &Place, arguments: &[&str], password: &str) -> Result<String, String> {
    let login = ["--insecure", "--username", "robot", "--password-stdin"];
    let mut command = place.command(&[arguments, &login].concat());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(password.as_bytes()).expect("written");
    drop(input);
    discreet(&child.wait_with_output().expect("it ends"))
}

#[tokio::test]
async fn a_password_on_standard_input() {
    let registry = DockerRegistry::with_passwords().await;
    let target = format!("{}/lazymesh/filter:1", registry.address);
    for (password, expect) in [
        ("correct horse\n", Ok(())),
        ("wrong horse\n", Err("as user \"robot\"")),
        ("", Err("standard input is empty")),
    ] {
        let place = Place::new(&module(100));
        let pushed = as_robot(&place, &["push", &target], password);
        check(password, pushed, expect);
    }
}

#[tokio::test]
async fn a_password_for_the_one_registry_of_a_copy() {
    let registry = DockerRegistry::with_passwords().await;
    let remote = format!("{}/lazymesh/filter:1", registry.address);
    let (from, back) = ("oci-layout:from:1", "oci-layout:back:1");
    let place = Place::new(&module(100));
    place.run(&["push", from]).expect("stored");
    let anonymous = place.run(&["copy", from, &remote, "--insecure"]);
    check("", anonymous, Err("none were given"));
    let there = as_robot(&place, &["copy", from, &remote], "correct horse").expect("copied");
    let url = format!("url: oci://{}/lazymesh/filter@sha256:", registry.address);
    assert!(there.contains(&url), "{there}");
    as_robot(&place, &["copy", &remote, back], "correct horse").expect("copied");
    assert_eq!(place.run(&["verify", from]), place.run(&["verify", back]));
    // Nobody is asked for a password that nobody needs.
    as_robot(&place, &["copy", from, "oci-layout:other:1"], "").expect("copied");
}

/// What to write into a WasmPlugin.
#[tokio::test]
async fn a_push_tells_digest_and_url() {
    let registry = DockerRegistry::with_passwords().await;
    let target = format!("{}/lazymesh/filter:1", registry.address);
    let place = Place::new(&module(100));
    let shown = as_robot(&place, &["push", &target], "correct horse").expect("pushed");
    let mut verify = place.command(&["verify", &target, "--insecure", "-o", "json"]);
    place.write(
        "config.json",
        &auths("robot", "correct horse").replace("SERVER", &registry.address.to_string()),
    );
    let seen = discreet(&verify.output().expect("the binary runs")).expect("verified");
    let seen: serde_json::Value = serde_json::from_str(&seen).expect("JSON");
    let digest = seen["digest"].as_str().expect("a digest");
    let url = format!("url: oci://{}/lazymesh/filter@{digest}", registry.address);
    let lines: Vec<_> = shown.lines().collect();
    assert!(
        lines.contains(&&*format!("digest: {digest}")) && lines.contains(&&*url),
        "{shown}"
    );
}
