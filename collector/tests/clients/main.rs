//! Clients that others' generators make of the OpenAPI document, on a live collector. `cargo xtask test interop` installs the
//! generators.

#[path = "../server/mesh.rs"]
#[allow(dead_code, reason = "the other suite needs the rest of it")]
mod mesh;
#[path = "../server/running.rs"]
#[allow(dead_code, reason = "the other suite needs the rest of it")]
mod running;
mod tools;

use std::fs;
use std::path::Path;

use crate::mesh::Mesh;
use crate::running::Running;
use crate::tools::{Tools, run};

/// What either client makes the collector learn, and reads back.
const LEARNED: &str = "shop/reviews.shop.svc.cluster.local api.example.com";

/// A collector, and a folder with its document.
struct Served {
    collector: Running,
    mesh: Mesh,
}

impl Served {
    async fn start() -> Self {
        let mesh = Mesh::new();
        let collector = Running::start(&mesh).await;
        let document = collector.text("/openapi.json").await;
        fs::write(mesh.path("openapi.json"), document).expect("written");
        Self { collector, mesh }
    }

    fn addresses(&self) -> [String; 2] {
        let addresses = self.collector.addresses;
        [addresses.ingest, addresses.admin].map(|address| address.to_string())
    }

    /// Copies what a test brings along into the folder.
    fn bring(&self, from: &str, files: &[&str]) {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
        for file in files {
            fs::copy(here.join(from).join(file), self.mesh.path(file)).expect("copied");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_valid() {
    let served = Served::start().await;
    let document = served.mesh.path("openapi.json");
    run(Tools::find().python("openapi_spec_validator").arg(document));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_calls() {
    let served = Served::start().await;
    served.bring("python", &["generate.yaml", "call.py"]);
    let folder = served.mesh.path("");
    let mut generate = Tools::find().python("openapi_python_client");
    generate
        .current_dir(&folder)
        .args([
            "generate",
            "--path=openapi.json",
            "--meta=none",
            "--fail-on-warning",
        ])
        .args(["--config=generate.yaml", "--output-path=lazymesh_client"]);
    run(&mut generate);
    let mut call = Tools::find().script();
    let learned = run(call
        .current_dir(&folder)
        .arg("call.py")
        .args(served.addresses()));
    assert_eq!(learned.trim(), LEARNED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typescript_client_calls() {
    let served = Served::start().await;
    served.bring("typescript", &["package.json", "tsconfig.json", "call.ts"]);
    let folder = served.mesh.path("");
    let tools = Tools::find();
    tools.link_modules(&folder);
    let generate = ["openapi.json", "--output=lazymesh.ts"];
    run(tools
        .node("openapi-typescript/bin/cli.js")
        .current_dir(&folder)
        .args(generate));
    run(tools.node("typescript/bin/tsc").current_dir(&folder));
    let mut call = std::process::Command::new("node");
    let learned = run(call
        .current_dir(&folder)
        .arg("call.js")
        .args(served.addresses()));
    assert_eq!(learned.trim(), LEARNED);
}

/// Requests made up from the document, on both listeners: whatever is asked is answered as the document says, and is no
/// failure of the collector's.
#[tokio::test(flavor = "multi_thread")]
async fn made_up_requests_fail_nowhere() {
    let served = Served::start().await;
    let [ingest, admin] = served.addresses();
    for (address, tags) in [
        (ingest, "--include-tag=ingest"),
        (admin, "--exclude-tag=ingest"),
    ] {
        let mut requests = Tools::find().python("schemathesis.cli");
        requests
            .current_dir(served.mesh.path(""))
            .args([
                "run",
                "openapi.json",
                tags,
                "--phases=examples,coverage,fuzzing",
            ])
            .arg(format!("--url=http://{address}"))
            .args(["--max-examples=25", "--seed=1", "--no-color", "--workers=1"])
            .args(["--checks=not_a_server_error,status_code_conformance"])
            // A stream has no end that it could wait for.
            .arg("--exclude-path=/v1/events")
            .args(["--checks=content_type_conformance,response_schema_conformance"]);
        run(&mut requests);
    }
}
