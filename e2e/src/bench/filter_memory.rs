//! Private memory of a sidecar without Wasm, with a module that does nothing, and with the filter.

use std::fs;

use anyhow::Result;

use super::row::Row;
use crate::{External, Filter, Mesh};

const TURNS: usize = 5;
const WORKERS: u32 = 2;

/// The smallest module that Envoy runs: what remains is the price of V8 itself.
const NOOP: &str = r#"
(module
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $next))
    (global.set $next (i32.add (global.get $next) (local.get $size)))
    (local.get $at))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_context_create") (param i32 i32)))
"#;

pub(super) async fn run() -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let noop = folder.path().join("noop.wasm");
    fs::write(&noop, wat::parse_str(NOOP)?)?;
    let variants = [
        ("none", Filter::None),
        ("noop", Filter::Module(noop)),
        ("filter", Filter::Attached),
    ];
    let mut bytes = [const { Vec::new() }; 3];
    for _ in 0..TURNS {
        for ((_, filter), bytes) in variants.iter().zip(&mut bytes) {
            bytes.push(private(filter.clone()).await?);
        }
    }
    let names = variants.iter().map(|(name, _)| *name);
    let rows = names.zip(&bytes);
    Ok(rows
        .map(|(name, values)| Row::paired(name, values, "bytes", &bytes[0]))
        .collect())
}

/// Private bytes of a sidecar that has just served unresolved traffic on all its workers.
async fn private(filter: Filter) -> Result<f64> {
    let mesh = Mesh::builder()
        .external(External::http("example.com"))
        .filter(filter)
        .concurrency(WORKERS)
        .without_access_log()
        .start()
        .await?;
    // Envoy spreads connections over its workers; 32 reach both.
    for _ in 0..32 {
        let client = mesh.http2_client();
        client.get("http://example.com:9080/ok").await?;
    }
    Ok(mesh.envoy().process().memory()?.private as f64)
}
