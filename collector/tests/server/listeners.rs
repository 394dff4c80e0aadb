use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use lazymesh_collector::{Addresses, Server};

use crate::mesh::Mesh;
use crate::running::{Running, config};

const SPIFFE: &str = "--spiffe-id=spiffe://cluster.local/ns/lazymesh-system/sa/collector";

/// Starts with these flags; the answer is why it was refused.
async fn start(mesh: &Mesh, flags: &[&str]) -> Result<Addresses, String> {
    let server = Server::start(config(mesh, flags)).await;
    server
        .map(|server| server.addresses())
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn an_open_port_must_be_asked_for() {
    let mesh = Mesh::new();
    fs::write(mesh.path("token"), "correct-horse-battery").expect("a file");
    fs::set_permissions(mesh.path("token"), Permissions::from_mode(0o600)).expect("permitted");
    let token = format!("--admin-token-file={}", mesh.path("token").display());
    let cases: [(&[&str], Option<&str>); 14] = [
        (&[], None),
        (&["--ingest=[::1]:0", "--admin=[::1]:0"], None),
        (&["--ingest=0.0.0.0:0"], Some("--ingest-identity")),
        (&["--ingest=[::]:0"], Some("--ingest-identity")),
        (&["--ingest=0.0.0.0:0", "--ingest-identity=none"], None),
        (
            &["--ingest=0.0.0.0:0", "--ingest-identity=xfcc", SPIFFE],
            Some("could forge the identity"),
        ),
        (
            &["--ingest=127.0.0.1:0", "--ingest-identity=xfcc", SPIFFE],
            None,
        ),
        (
            &["--ingest-identity=xfcc", "--spiffe-id=me"],
            Some("--spiffe-id must be"),
        ),
        (
            &["--admin=0.0.0.0:0"],
            Some("expected an address on loopback"),
        ),
        (
            &["--admin=[::ffff:0.0.0.0]:0"],
            Some("expected an address on loopback"),
        ),
        (&["--admin=0.0.0.0:0", &token], Some("speaks plain HTTP")),
        (&[&token], None),
        (
            &["--admin-token-file=/nowhere"],
            Some("cannot read the token file"),
        ),
        (
            &["--ingest=192.0.2.1:1", "--ingest-identity=none"],
            Some("cannot listen on 192.0.2.1:1"),
        ),
    ];
    for (flags, refusal) in cases {
        // A store of its own: one that was dropped, not closed, is let go of a moment later.
        let result = start(&Mesh::new(), flags).await;
        match (result, refusal) {
            (Ok(_), None) => {}
            (Err(error), Some(refusal)) => assert!(error.contains(refusal), "{flags:?}: {error}"),
            (result, _) => panic!("{flags:?}: {result:?}"),
        }
    }
}

#[tokio::test]
async fn bound_addresses_are_written_down() {
    let mesh = Mesh::new();
    let path = mesh.path("addresses.json");
    let flag = format!("--address-file={}", path.display());
    let bound = start(&mesh, &[&flag]).await.expect("it starts");
    let written: Addresses =
        serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
    assert_eq!(written, bound);
    assert_ne!(written.ingest.port(), 0);
}

#[tokio::test]
async fn probes_have_a_port_of_their_own() {
    let mesh = Mesh::new();
    let collector = Running::start_with(&mesh, &["--probes=127.0.0.1:0"]).await;
    let probes = collector.addresses.probes.expect("a port");
    for (path, status) in [
        ("/livez", 200),
        ("/readyz", 200),
        ("/metrics", 404),
        ("/v1/graph", 404),
    ] {
        let answer = reqwest::get(format!("http://{probes}{path}")).await;
        assert_eq!(answer.expect("an answer").status(), status, "{path}");
    }
    collector.stop().await.expect("a clean end");
}

/// A web page may have its name point to loopback, and then calls what listens there as its own server.
#[tokio::test]
async fn a_port_without_a_secret_takes_only_what_is_for_this_machine() {
    let mesh = Mesh::new();
    let collector = Running::start(&mesh).await;
    let Addresses { ingest, admin, .. } = collector.addresses;
    let http = reqwest::Client::new();
    for (host, expect) in [
        (None, 200),
        (Some("localhost:8481"), 200),
        (Some("lazymesh-collector"), 200),
        (Some("evil.example:8481"), 421),
    ] {
        let question = serde_json::json!({
            "source": {"namespace": "shop", "workload": "web"},
            "authority": "reviews",
            "protocol": "http",
        });
        let post = http.post(format!("http://{ingest}/v1/resolve"));
        for request in [
            http.get(format!("http://{admin}/v1/graph")),
            http.delete(format!("http://{admin}/v1/workloads/shop/nobody")),
            post.json(&question),
        ] {
            let request = match host {
                Some(host) => request.header("host", host),
                None => request,
            };
            let request = request.build().expect("a request");
            let expect = match *request.method() == reqwest::Method::DELETE && expect == 200 {
                true => 404,
                false => expect,
            };
            let answer = http.execute(request).await.expect("an answer");
            assert_eq!(answer.status(), expect, "{host:?} {}", answer.url());
        }
    }
    collector.stop().await.expect("a clean end");
}
