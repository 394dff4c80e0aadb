//! A filter that traps, as ours must not: what the sidecar knows is as without it, and what waits for a decision ends.

use std::{fs, ops::Range, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use http::{Request, header};
use http_body_util::Empty;
use lazymesh_e2e::{
    CollectorKind, Exposure, Filter, Mesh, Service, fake_collector::Behaviour, parts,
    scenario::scenario,
};
use lazymesh_protocol::{Decision, PassthroughReason};
use tokio::{io::AsyncWriteExt as _, time::timeout};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

/// The idle time-out of the catch-all route, and what a busy machine may add.
const PAUSED: Duration = Duration::from_secs(70);
const RESOLVED: usize = 200;
const UNRESOLVED: usize = 20;

/// No locals, then `unreachable`.
const TRAP: &[u8] = &[0x00, 0x00];
/// One local; a loop that takes a mebibyte more and fills it, until there is none; then `unreachable`.
const ALLOCATE: &[u8] = &[
    0x01, 0x01, 0x7f, 0x03, 0x40, 0x41, 0x10, 0x40, 0x00, 0x22, 0x00, 0x41, 0x7f, 0x47, 0x04, 0x40,
    0x20, 0x00, 0x41, 0x10, 0x74, 0x41, 0x01, 0x41, 0x80, 0x80, 0xc0, 0x00, 0xfc, 0x0b, 0x00, 0x0c,
    0x01, 0x0b, 0x0b, 0x00,
];
const NOP: u8 = 0x01;
const END: u8 = 0x0b;

#[test]
fn on_configure() {
    check("proxy_on_configure", TRAP);
}

#[test]
fn on_a_request() {
    check("proxy_on_request_headers", TRAP);
}

#[test]
fn on_a_connection() {
    check("proxy_on_new_connection", TRAP);
}

#[test]
fn on_a_tick() {
    check("proxy_on_tick", TRAP);
}

#[test]
fn on_an_answer() {
    check("proxy_on_http_call_response", TRAP);
}

#[test]
fn out_of_memory() {
    check("proxy_on_request_headers", ALLOCATE);
}

/// None of the requests and connections that the sidecar knows fails, before, while and after the others meet the trap.
fn check(callback: &'static str, body: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let module = module(folder.path().join("filter.wasm"), callback, body).expect("a module");
    let external = Decision::Passthrough {
        reason: PassthroughReason::External,
    };
    let mesh = Mesh::builder()
        .service(Service::http("details").known())
        .service(Service::tcp("ledger").known())
        .service(Service::http("reviews").exposure(Exposure::Permissive))
        .service(Service::tcp("db").exposure(Exposure::Permissive))
        .filter(Filter::Module(module))
        .collector(CollectorKind::Fake(Behaviour::answer(
            external,
            Duration::from_millis(100),
        )));
    scenario(mesh, async |mesh| {
        let resolved = async {
            for _ in 0..RESOLVED {
                let answer = mesh.client().get("http://details:9080/").await?;
                ensure!(answer.echo()?.peer == Some(mesh.identity()));
                let mut connection = dial(mesh, "ledger").await?;
                connection.shutdown().await?;
            }
            Ok(())
        };
        let unresolved = async {
            try_join_all((0..UNRESOLVED).map(|number| request(mesh, number))).await?;
            try_join_all((0..UNRESOLVED).map(|_| dial(mesh, "db"))).await
        };
        tokio::try_join!(resolved, unresolved)?;
        // The VM that has trapped is gone: the sidecar is one without a filter.
        for number in 0..UNRESOLVED {
            request(mesh, number).await?;
        }
        Ok(())
    });
}

/// A request that only the catch-all virtual host knows. Any answer ends it.
async fn request(mesh: &Mesh, number: usize) -> Result<()> {
    let request = Request::get("http://reviews:9080/")
        .header(header::HOST, format!("host-{number}.example.com"))
        .header(header::CONNECTION, "close")
        .body(Empty::new())?;
    mesh.client().send_within(request, PAUSED).await?;
    Ok(())
}

async fn dial(mesh: &Mesh, host: &str) -> Result<tokio::net::TcpStream> {
    let dialer = mesh.client().dialer().clone();
    let dial = dialer.dial(mesh.destination(host, 5432)?);
    Ok(timeout(PAUSED, dial).await??)
}

/// Our module with another body of a callback, as long as its own.
fn module(path: PathBuf, callback: &str, body: &[u8]) -> Result<PathBuf> {
    let mut module = fs::read(parts::filter()?)?;
    let own = body_of(&module, callback)?;
    let own = module.get_mut(own).context("a body outside the module")?;
    own.fill(NOP);
    own[..body.len()].copy_from_slice(body);
    *own.last_mut().context("an empty body")? = END;
    fs::write(&path, module)?;
    Ok(path)
}

fn body_of(module: &[u8], callback: &str) -> Result<Range<usize>> {
    let (mut imported, mut exported, mut bodies) = (0, None, Vec::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    imported += usize::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    if export.kind == ExternalKind::Func && export.name == callback {
                        exported = Some(export.index as usize);
                    }
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(body.range()),
            _ => {}
        }
    }
    let place = exported.and_then(|index| index.checked_sub(imported));
    let body = place.and_then(|place| bodies.get(place));
    let body: &Range<u64> = body.with_context(|| format!("the module has no {callback}"))?;
    Ok(usize::try_from(body.start)?..usize::try_from(body.end)?)
}
