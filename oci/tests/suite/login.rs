//! Credentials where docker and oras keep them, used by the command against registries that insist on them.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::command::{Place, executable, outcome};
use crate::launcher::DockerRegistry;
use crate::support::module;

const SECRETS: [&str; 3] = ["correct horse", "wrong horse", "refresh me"];

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
    let outcome = outcome(
        &command
            .env("RUST_LOG", "trace")
            .output()
            .expect("the binary runs"),
    );
    let (Ok(said) | Err(said)) = &outcome;
    assert!(
        !SECRETS.iter().any(|secret| said.contains(secret)),
        "{said}"
    );
    outcome
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

#[tokio::test]
async fn a_password_on_standard_input() {
    let registry = DockerRegistry::with_passwords().await;
    for (password, expect) in [
        ("correct horse\n", Ok(())),
        ("wrong horse\n", Err("as user \"robot\"")),
        ("", Err("standard input is empty")),
    ] {
        let place = Place::new(&module(100));
        let target = format!("{}/lazymesh/filter:1", registry.address);
        let login = ["--insecure", "--username", "robot", "--password-stdin"];
        let mut command = place.command(&[&["push", &target][..], &login].concat());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let mut input = child.stdin.take().expect("piped");
        input.write_all(password.as_bytes()).expect("written");
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        check(password, outcome(&output), expect);
    }
}
