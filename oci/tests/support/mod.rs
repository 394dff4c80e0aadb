//! What both suites need: an artifact, a registry in memory, and an index.

mod fake_registry;
mod index;

use std::net::SocketAddr;
use std::time::Duration;

use lazymesh_oci::{
    Artifact, Credentials, Digest, Document, Limits, Metadata, Registry, RegistryOptions, Variant,
};

pub(crate) use fake_registry::{FakeRegistry, Seen, with};
pub(crate) use index::nested;

/// The smallest module, with a custom section of `size` bytes to make it as large as a test wants.
pub(crate) fn module(size: usize) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0\0".to_vec();
    let mut length = size + 2;
    loop {
        let low = (length & 0x7f) as u8;
        length >>= 7;
        module.push(if length == 0 { low } else { low | 0x80 });
        if length == 0 {
            break;
        }
    }
    module.extend(b"\x01x");
    module.extend(std::iter::repeat_n(7, size));
    module
}

pub(crate) fn artifact(module: Vec<u8>) -> Artifact {
    let metadata = Metadata {
        title: "filter.wasm".to_owned(),
        version: Some("1.2.3".to_owned()),
        ..Metadata::default()
    };
    Artifact::pack(module, &metadata, Variant::Wasm).expect("a module")
}

/// A bill of materials of `module`.
pub(crate) fn sbom(module: &[u8]) -> Document {
    let bill = format!(
        r#"{{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{{"component":{{"type":"file","name":"filter","hashes":[{{"alg":"SHA-256","content":"{}"}}]}}}}}}"#,
        Digest::of(module).hex()
    );
    let about = Document::about(&Digest::of(module), "filter", bill);
    about.expect("a bill of materials").0
}

/// Limits for tests: small, so that running into them takes no time.
pub(crate) fn limits() -> Limits {
    Limits {
        module_bytes: 1 << 20,
        attempts: 2,
        idle: Duration::from_secs(2),
        total: Duration::from_secs(4),
        retry_after: Duration::from_secs(2),
        ..Limits::default()
    }
}

pub(crate) fn registry(at: SocketAddr, credentials: Credentials) -> Registry {
    let options = RegistryOptions {
        credentials,
        plain_http: true,
        ca: None,
        limits: limits(),
    };
    Registry::new(&at.to_string(), "lazymesh/filter", options).expect("a client")
}
