use crate::lazymesh::run;

#[test]
fn every_command_helps() {
    let overview = run(&["--help"]).ok();
    for command in [
        "collector",
        "manifests",
        "graph",
        "workloads",
        "explain",
        "events",
        "sidecar",
        "always-visible",
        "forget",
        "resume",
        "push",
        "pull",
        "inspect",
        "sign",
        "verify",
        "copy",
        "check",
        "status",
        "version",
        "bug-report",
        "plan",
        "uninstall",
        "completion",
    ] {
        assert!(overview.contains(command), "{command} in\n{overview}");
        let help = run(&[command, "--help"]).ok();
        assert!(help.contains("Usage: lazymesh"), "{help}");
        assert!(
            command == "manifests" || help.contains("Examples:"),
            "{help}"
        );
    }
}

#[test]
fn mistakes_on_the_command_line_are_told_apart() {
    for (args, reason) in [
        (
            &["workloads", "shop"][..],
            "not of the form <namespace>/<name>",
        ),
        (&["workloads", "Shop/web"], "not a DNS label"),
        (
            &["graph", "--format", "svg"],
            "possible values: json, dot, mermaid",
        ),
        (
            &["graph", "--url", "nonsense"],
            "expected a URL, as in http://127.0.0.1:8481",
        ),
        (&["collector"], "--data-dir"),
        (
            &[
                "collector",
                "--data-dir=x",
                "--manifests=y",
                "--ingest=localhost",
            ],
            "expected an IP address and a port, as in 127.0.0.1:8480, got \"localhost\"",
        ),
        (
            &[
                "collector",
                "--data-dir=x",
                "--manifests=y",
                "--max-workloads=many",
            ],
            "expected a whole number from 0 to 18446744073709551615, got \"many\"",
        ),
        (
            &[
                "collector",
                "--data-dir=x",
                "--manifests=y",
                "--usage-interval=0",
            ],
            "expected a whole number from 1 to 18446744073709551615, got \"0\"",
        ),
        (
            &[
                "collector",
                "--data-dir=x",
                "--manifests=y",
                "--always-visible=*/*",
            ],
            "namespace is not a DNS label",
        ),
        (
            &[
                "collector",
                "--data-dir=x",
                "--manifests=y",
                "--ingest-identity=xfcc",
            ],
            "--spiffe-id",
        ),
    ] {
        let run = run(args);
        assert_eq!(run.status, Some(2), "{args:?}");
        assert!(run.stderr.contains(reason), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completion", shell]).ok();
        for command in [
            "collector",
            "manifests",
            "graph",
            "workloads",
            "sidecar",
            "always-visible",
            "push",
            "copy",
        ] {
            assert!(script.contains(command), "{command} for {shell}");
        }
    }
}
