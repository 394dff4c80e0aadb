//! The example of the crate, as its first lines say it is run.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Deserializer, Value};

use crate::command::{Place, run};
use crate::support::module;

/// `cargo test` puts examples beside the folder of this binary.
fn example() -> PathBuf {
    let suite = std::env::current_exe().expect("a path");
    let profile = suite.parent().and_then(|deps| deps.parent());
    profile
        .expect("target/debug/deps")
        .join("examples/artifact")
}

#[test]
fn it_runs() {
    let place = Place::new(&module(100));
    let mut command = Command::new(example());
    command.args(["filter.wasm", "oci-layout:out:0.1.0"]);
    let shown = run(
        command.current_dir(place.path("")),
        "cargo build --example artifact",
    );
    let mut json = Deserializer::from_str(&shown).into_iter::<Value>();
    let seen = json.next().expect("an object").expect("JSON");
    let end = &shown[json.byte_offset()..];
    assert_eq!(
        seen["referrers"][0]["artifactType"],
        "application/vnd.in-toto+json"
    );
    assert!(end.ends_with(" bytes in filter.pulled.wasm\n"), "{end}");
    assert_eq!(
        std::fs::read(place.path("filter.pulled.wasm")).expect("pulled"),
        module(100)
    );
    place
        .run(&["verify", "oci-layout:out:0.1.0", "--provenance"])
        .expect("its provenance counts");
}
