use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::clients::{rows, taught};
use crate::lazymesh::{Run, command, run};

#[test]
fn forms() {
    let (_mesh, collector) = taught();
    let url = &*collector.url();
    let shown = |args: &[&str]| run(&[args, &[url]].concat()).ok();
    assert_eq!(
        shown(&["workloads", "-o", "name"]),
        "free/job\nshop/custom\nshop/web\n"
    );
    let names = shown(&["workloads", "-n", "shop", "-o", "jsonpath={[*].name}"]);
    assert_eq!(names, "custom web\n");
    let wide = shown(&["workloads", "-o", "wide"]);
    let last = ["shop/web", "enforce", "1", "managed", "0s", "filter"];
    let table = rows(&wide);
    assert_eq!(table[0].len(), last.len());
    assert_eq!((&table[3][..4], table[3][5]), (&last[..4], last[5]));
    let plan = shown(&["plan", "shop", "-o", "wide"]);
    assert!(
        plan.contains("UNSEEN") && plan.contains("week,few-calls"),
        "{plan}"
    );
    assert_eq!(shown(&["plan", "shop/web", "-o", "name"]), "shop/web\n");
    let visible = shown(&["always-visible", "-o", "name"]);
    assert!(
        visible.starts_with("lazymesh-system/lazymesh-collector"),
        "{visible}"
    );
    for (form, expect) in [
        (
            "table,wide",
            "expected table, wide, name, json, yaml or jsonpath=EXPRESSION",
        ),
        ("jsonpath={[}", "expected a path as in"),
    ] {
        let refused = run(&["workloads", "-o", form, url]);
        assert!(refused.stderr.contains(expect), "{}", refused.stderr);
    }
}

#[test]
fn workloads_are_followed() {
    let (_mesh, collector) = taught();
    let mut child = command()
        .args(["workloads", "--watch", "-n", "shop", &collector.url()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    while !next().starts_with("shop/web") {}
    collector.resolve("ratings.example.com");
    let again = next();
    assert!(again.starts_with("shop/web"), "{again}");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

#[test]
fn kubectl_finds_it_as_a_plugin() {
    let folder = tempfile::tempdir().expect("a directory");
    let plugin = folder.path().join("kubectl-lazymesh");
    std::os::unix::fs::symlink(command().get_program(), &plugin).expect("a link");
    let output = std::process::Command::new(plugin).arg("--version").output();
    let run = Run::from(output.expect("it runs"));
    assert!(run.ok().starts_with("lazymesh "));
}
